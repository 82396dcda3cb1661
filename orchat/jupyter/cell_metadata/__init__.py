"""What a notebook's file keeps: the bridge to the page that writes it, and taking it out again.

A kernel cannot write the file of its notebook, and must not: the page holds it. A small extension of JupyterLab and
Notebook 7 (``labextension/``) puts what the kernel sends into the metadata of cells; it comes back by itself with the
next run of the cell.

From low to high: `cell` (the running cell, as the page told of it), `pages` (messages to all pages that show the
notebook, and their answers), `checkpoints` (what waits to be written, and when it may be), and `bridge`:
`orchat.jupyter.cell_metadata.bridge.Bridge`; `entries` (what all who keep something in a cell keep together) and
`beside` (the file for those who want nothing in the notebook). Beside them `strip` and `files` take out of notebooks
what we put in.
"""
