"""What a notebook file stores of conversations: the bridge to the page that writes it, and its removal.

The file belongs to the page: the kernel never writes it. A small extension of JupyterLab and Notebook 7
(``jupyter/frontend/extension/``) puts what the kernel sends into the metadata of cells; it comes back by itself
with the next request to run the cell.

`executing_cell` knows the cell that runs, `metadata_entry` what all parts of a cell store together, `frontend_messages`
the messages to all pages that show the notebook, `write_queue` when a value may be written, `metadata_bridge` joins
them. `sidecar_file` is the file for those who want nothing in the notebook; `strip_notebook` and `notebook_file` take
conversations out of notebooks again.
"""
