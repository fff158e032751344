"""The README's demo: its last line, its end, and what it leaves behind."""

import os
import signal
import subprocess
import urllib.request

from conftest import ROOT, wait_until


def processes_of(group):
    """Ids of the live processes of one process group."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat") as stat:
                    fields = stat.read().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if int(fields[2]) == group and fields[0] != "Z":
                found.append(int(entry))
    return found


def test_the_demo_runs_and_leaves_nothing(tmp_path):
    log = tmp_path / "demo.log"
    temporary = tmp_path / "work"
    temporary.mkdir()
    with open(log, "w") as out:
        demo = subprocess.Popen(
            [ROOT / "scripts" / "demo"], stdout=out, stderr=subprocess.PIPE, text=True, start_new_session=True,
            # A shell that starts the tests in its background has them ignore Ctrl-C, and a script cannot undo that.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            env={**os.environ, "TMPDIR": str(temporary)},
        )  # fmt: skip
    try:
        wait_until(lambda: demo.poll() is not None or "watch " in log.read_text(), 600, 0.5, "the demo to be up")
        assert demo.poll() is None, demo.stderr.read()
        assert log.read_text().splitlines()[-1] == "watch http://127.0.0.1:7782/?play=demo"
        with urllib.request.urlopen("http://127.0.0.1:7782/?play=demo", timeout=10) as page:
            assert "mafalda" in page.read().decode()
    finally:
        os.killpg(demo.pid, signal.SIGINT)  # Ctrl-C reaches the whole foreground group.
    assert demo.wait(30) == 0, demo.stderr.read()
    wait_until(lambda: processes_of(demo.pid) == [], what="every process of the demo to end")
    # What the build leaves there is the toolchain's; the demo's own folder is mktemp's.
    assert [entry for entry in temporary.iterdir() if entry.name.startswith("tmp.")] == []
