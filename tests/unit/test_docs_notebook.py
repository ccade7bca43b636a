"""The notebook of the documentation runs on a small dataset."""

from pathlib import Path

import nbformat
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).resolve().parents[2] / "docs" / "notebooks" / "open_a_dataset.ipynb"


def test_the_notebook_opens_plots_and_plays_a_dataset(corpus, tmp_path):
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    (parameters,) = (cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", ()))
    assert parameters.source == 'DATASET = "results/dataset"'
    parameters.source = f"DATASET = {str(corpus / 'shards')!r}"
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    kinds = {kind for output in outputs for kind in output.get("data", {})}
    assert any("notes" in output.get("text", "") for output in outputs)
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 2
    assert "text/html" in kinds  # the audio player


def test_the_notebook_is_stored_without_outputs():
    assert all(
        not cell.outputs and cell.execution_count is None for cell in nbformat.read(NOTEBOOK, as_version=4).cells if "outputs" in cell
    )
