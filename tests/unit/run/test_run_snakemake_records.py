import base64

from handroll.run.snakemake_records import drop_damaged


def test_results_with_damaged_records_are_removed(tmp_path):
    records, results = tmp_path / ".snakemake" / "metadata", tmp_path / "results"
    records.mkdir(parents=True)
    results.mkdir()
    contents = {"whole": b'{"params": []}', "empty": b"", "half": b'{"par', "random": b"\xf2\x00\xff"}
    for name, content in contents.items():
        (results / name).touch()
        (records / base64.urlsafe_b64encode(f"results/{name}".encode()).decode()).write_bytes(content)
    (records / "no base64").touch()
    assert drop_damaged(tmp_path) == 4
    assert [path.name for path in results.iterdir()] == ["whole"] and len(list(records.iterdir())) == 1
    assert drop_damaged(tmp_path) == 0
