"""Store conversations in cell metadata or a sidecar file, and strip them from notebooks.

The page owns the notebook file: the kernel never writes it. A small extension of JupyterLab and Notebook 7
(``jupyter/frontend/extension/``) writes the kernel's values into the metadata of cells, and the front end sends them
back with the next execute request of the cell.

`executing_cell` reads the execute request, `metadata_entry` joins the parts of one cell's metadata,
`frontend_comm` exchanges messages with all pages of the notebook, `write_queue` limits the rate of writes, and
`metadata_bridge` combines them. `sidecar_file` is the alternative to cell metadata, made of `sidecar_lines` in a
`json_lines_file`, and `storage_target` decides between them. `notebook_stripper` and `notebook_file` remove
conversations from notebooks.
"""
