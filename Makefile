# Everything a newcomer needs: `make demo` and `make test` do their own set-up.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUST_SOURCES := $(shell find rust/src -name '*.rs') rust/Cargo.toml rust/Cargo.lock

.PHONY: setup demo fuzz fuzz-bounded soak test test-integrations test-ray test-torch check format docs bench wheel sdist clean

setup: $(VENV)/.built

$(VENV)/.installed: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet 'maturin>=1.9,<2'
	touch $@

# An editable install: Python files are used in place, the native module is rebuilt when Rust changes.
$(VENV)/.built: $(VENV)/.installed $(RUST_SOURCES)
	$(BIN)/python -m pip install --quiet --no-build-isolation --editable '.[dev]'
	touch $@

demo: setup
	$(BIN)/python examples/demo.py demo-output

test: setup
	cargo test --quiet --manifest-path rust/Cargo.toml
	$(BIN)/python -m pytest

# What real transformers, webdataset, datasets and polars make of our output. In an environment of its own: these are heavy.
test-integrations: $(VENV)-integrations/.built
	$(VENV)-integrations/bin/python -m pytest tests/test_llava_onevision.py tests/test_batch_prep.py tests/test_hf.py tests/test_hf_hub.py tests/test_docs.py

# A Ray cluster of two nodes on this machine.
test-ray: $(VENV)-ray/.built
	$(VENV)-ray/bin/python -m pytest tests/test_ray.py

# The torchcodec backend on the real torchcodec, which is lent PyAV's FFmpeg, and the guide for DataLoaders: torch alone
# is gigabytes.
test-torch: $(VENV)-torch/.built
	$(VENV)-torch/bin/python -m pip install --quiet --editable packages/patch-torchcodec
	$(VENV)-torch/bin/patch-torchcodec
	$(VENV)-torch/bin/patch-torchcodec --verify
	$(VENV)-torch/bin/python -m pytest -m torch tests packages/patch-torchcodec/tests

$(VENV)-integrations/.built: EXTRA := test-integrations
$(VENV)-ray/.built: EXTRA := test,ray
$(VENV)-torch/.built: EXTRA := test,torchcodec
$(VENV)-integrations/.built $(VENV)-ray/.built $(VENV)-torch/.built: pyproject.toml $(RUST_SOURCES)
	test -x $(@D)/bin/python || $(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --editable '.[$(EXTRA)]'
	touch $@

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	cargo fmt --manifest-path rust/Cargo.toml --check
	cargo clippy --quiet --manifest-path rust/Cargo.toml --all-targets --features extension-module -- -D warnings
	cargo clippy --quiet --manifest-path rust/fuzz/Cargo.toml -- -D warnings

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	cargo fmt --manifest-path rust/Cargo.toml

docs: setup
	$(BIN)/python docs/make_api.py

# Some minutes of damaged streams and files: what every change must stand.
FUZZ_SEEDS := rust/fuzz/seeds
fuzz-bounded: $(FUZZ_SEEDS)
	cargo run --quiet --manifest-path rust/fuzz/Cargo.toml --profile checked --bin bounded -- $(FUZZ_SEEDS) --inputs 100000
	$(BIN)/python tests/damaged_videos.py 2000

# The long run, guided by coverage: an hour for each parser and for the index, then 100,000 files. Needs cargo-fuzz and
# a nightly toolchain.
FUZZ_SECONDS ?= 3600
fuzz: $(FUZZ_SEEDS)
	for target in h264 hevc vp9 av1 index; do \
		mkdir -p rust/fuzz/corpus/$$target; \
		(cd rust/fuzz && cargo +nightly fuzz run --fuzz-dir . --sanitizer none --features libfuzzer $$target \
			corpus/$$target seeds/$$target -- -timeout=2 -rss_limit_mb=512 -max_total_time=$(FUZZ_SECONDS)) || exit 1; \
	done
	$(BIN)/python tests/damaged_videos.py 100000

$(FUZZ_SEEDS): setup
	$(BIN)/python rust/fuzz/make_seeds.py $@

# An hour of random requests, and what of memory, files and threads is left after it.
soak: setup
	$(BIN)/python tests/soak.py 3600

bench: setup
	$(BIN)/python benchmarks/bench_bit_costs.py
	$(BIN)/python benchmarks/bench_prep.py
	$(BIN)/python benchmarks/bench_batch.py
	$(BIN)/python benchmarks/bench_references.py
	$(BIN)/python benchmarks/bench_decode.py
	$(BIN)/python benchmarks/bench_remote.py

# The wheel is tried in an empty environment for each Python that is at hand.
wheel: setup
	rm -rf dist
	$(BIN)/maturin build --release --compatibility pypi --out dist
	$(BIN)/python .ci/check_wheel.py dist

# The source must build a wheel by itself, and that wheel must work.
sdist: setup
	rm -rf dist
	$(BIN)/maturin sdist --out dist
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist/built dist/*.tar.gz
	$(BIN)/python .ci/check_wheel.py dist/built
	rm -r dist/built

clean:
	rm -rf $(VENV) $(VENV)-* rust/target demo-output dist
