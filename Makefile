# `make faces`, `make table1` and `make test` are all that a newcomer needs; they make the environment first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# All cores of this machine unless told otherwise: make table1 CORES=2
CORES ?= all
# glibc hands the memory of a freed tensor back to the system, and the next one is faulted in again page
# by page; keeping it, in huge pages, makes CPU jobs up to a fifth faster.
export GLIBC_TUNABLES ?= glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=1073741824:glibc.malloc.trim_threshold=4294967296

.PHONY: table1 faces test test-slow test-gpu test-cluster browser fashion-mnist check lock

table1: $(READY)
	PATH="$(CURDIR)/$(BIN):$$PATH" snakemake results/table1.csv results/table1.png --cores $(CORES)

# The first look: a generator and networks that ship inside packages (envs/faces.in says which).
FACES := downloads/faces/squeezenet.safetensors

faces: $(FACES)
	PATH="$(CURDIR)/$(BIN):$$PATH" snakemake results/faces.png results/faces.csv --cores $(CORES) \
	  --configfile config/scales/faces.yaml

# The file that is written last, with the others beside it.
$(FACES): $(VENV)/.faces
	$(BIN)/python -m pseudodensity.checkpoints.faces $(@D)

$(VENV)/.faces: $(READY) envs/faces.txt
	$(BIN)/python -c 'import sys; sys.exit(0 if sys.version_info < (3, 13) else "make faces: the package gan-face-generate needs Python below 3.13: remove .venv, then make PYTHON=python3.12 faces")'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r envs/faces.txt
	touch $@

# Two processes; the tests of a file stay together, since they share what they make.
test: $(READY)
	PATH="$(CURDIR)/$(BIN):$$PATH" python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

# The long ones, which the default leaves out.
test-slow: $(READY)
	PATH="$(CURDIR)/$(BIN):$$PATH" python -m pytest -m slow

# On a machine with a GPU and envs/gpu.txt: results beside the CPU's. DEVICE=cpu runs the tests without a card.
DEVICE ?= cuda
test-gpu: $(READY)
	PATH="$(CURDIR)/$(BIN):$$PATH" python -m pytest -m gpu --device $(DEVICE) -rs

# On Debian and as root, with its packages of SLURM (tests/cluster/one_node.sh says which).
test-cluster: $(READY)
	for script in small_run killed_controller out_of_memory; do \
	  PATH="$(CURDIR)/$(BIN):$$PATH" tests/cluster/$$script.sh || exit 1; \
	done

# Chromium for the test of the page of results, which is skipped without it.
browser:
	@if command -v chromium || command -v chromium-browser; then :; \
	elif command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
	  apt-get -qq update && apt-get -qq install --yes --no-install-recommends chromium; \
	else echo "make browser: there is no Chromium here; install your system's package of it (on Debian, as root: apt-get install chromium)"; fi

# Fashion-MNIST as Debian packs it, for config/scales/real.yaml. It is unpacked, not installed: no root.
FASHION := dataset-fashion-mnist
FASHION_SHA256 := 39e172fe32dd318ebb3e512220c3beea2fa47d7e20bab348fb4e0922d6beefc0

fashion-mnist:
	@command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || { echo \
	  "make fashion-mnist: there is no apt here; put the four files of Fashion-MNIST where config/scales/real.yaml says"; exit 1; }
	@mkdir -p downloads && cd downloads && rm -f $(FASHION)_*.deb && apt-get -qq download $(FASHION) || { echo \
	  "make fashion-mnist: apt-get found no $(FASHION); run apt-get update as root, and again"; exit 1; }
	@cd downloads && echo "$(FASHION_SHA256)  $$(ls $(FASHION)_*.deb)" | sha256sum --check --status || { echo \
	  "make fashion-mnist: the archive in downloads/ is another one than config/scales/real.yaml was made for"; exit 1; }
	dpkg-deb -x downloads/$(FASHION)_*.deb downloads/fashion-mnist

check: $(READY)
	PATH="$(CURDIR)/$(BIN):$$PATH" ruff check . && PATH="$(CURDIR)/$(BIN):$$PATH" ruff format --check . \
	  && PATH="$(CURDIR)/$(BIN):$$PATH" snakefmt --check Snakefile workflow/rules \
	  && PATH="$(CURDIR)/$(BIN):$$PATH" snakemake --lint

# The stamp is touched last, so an interrupted installation is done again.
$(READY): envs/cpu.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed: make PYTHON=python3.11 table1")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r envs/cpu.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

# Pin again after a change of envs/*.in (needs uv).
lock:
	for env in cpu gpu photos; do \
	  uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	    --no-annotate --no-header envs/$$env.in -o envs/$$env.txt || exit 1; \
	done
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-annotate --no-header --no-deps envs/faces.in -o envs/faces.txt
