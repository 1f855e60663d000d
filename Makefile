# Every target finds or fetches libtorch by itself (scripts/env.sh); TORCH=2.1.2 chooses its version.

GOLANGCI_LINT := 2.15.0
GOTESTSUM     := 1.13.0

# What test runs; the flags are go test's.
PACKAGES   ?= ./...
TEST_FLAGS ?= -timeout 30m
DEMO_FLAGS ?=
BENCH_FLAGS ?=
NOTEBOOK_FLAGS ?=
# TestMemoryOfAProcess measures memory, of which the race detector takes several times as much.
RACE_FLAGS ?= -short -skip '^TestMemoryOfAProcess$$' -timeout 30m

TOOLS     := .cache/bin
ENV       := . scripts/env.sh
lint_bin  := $(TOOLS)/golangci-lint-$(GOLANGCI_LINT)
test_bin  := $(TOOLS)/gotestsum-$(GOTESTSUM)
# Tools are pure Go; they are built with none of the variables of the build over libtorch.
install    = mkdir -p $(TOOLS) && GOBIN=$(CURDIR)/$(TOOLS)/tmp CGO_ENABLED=0 GOFLAGS= go install $(1) && \
             mv $(TOOLS)/tmp/$(notdir $(firstword $(subst @, ,$(1)))) $@ && \
             rmdir $(TOOLS)/tmp

.PHONY: help demo test race lint bench bench-memory bench-sigreg bench-step bench-views bench-weights bench-tokenize parity check-python notebooks clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' Makefile

demo: ## pretrain on MNIST, and compare with raw pixels (DEMO_FLAGS="--steps 20" for a short one)
	@$(ENV) && go run ./cmd/train --demo $(DEMO_FLAGS)

test: $(test_bin) ## vet and test everything (TORCH=2.1.2 with another libtorch)
	@$(ENV) && go vet $(PACKAGES) && $(test_bin) --format standard-quiet -- $(TEST_FLAGS) $(PACKAGES)

# Packages with tests that don't reach gotch: the race detector would have its C++ compiled anew, and sees nothing of it.
race: ## test the packages that do without libtorch under the race detector (RACE_FLAGS are go test's)
	@$(ENV) && pure=$$(scripts/packages.sh pure) && go test -race $(RACE_FLAGS) $$pure

lint: $(lint_bin) ## gofmt, vet, staticcheck and others (.golangci.yml)
	@$(ENV) && $(lint_bin) run ./...

bench: ## run the benchmarks, and SIGReg beside PyTorch
	@$(ENV) && go test -run '^$$' -bench . -benchmem $(PACKAGES)
	@$(MAKE) --no-print-directory bench-sigreg

bench-sigreg: ## print the table of SIGReg beside PyTorch (BENCH_FLAGS="--rounds 1 --seconds 0.2" for a quick one)
	@scripts/python/setup.sh
	@$(ENV) && .venv/bin/python scripts/bench/sigreg.py $(BENCH_FLAGS)

bench-step: ## print the table of the training step beside PyTorch and timm (BENCH_FLAGS="--rounds 1 --steps 1" for a quick one)
	@scripts/python/setup.sh
	@$(ENV) && .venv/bin/python scripts/bench/step.py $(BENCH_FLAGS)

bench-memory: ## print the table of memory against batch, and draw docs/memory.svg (BENCH_FLAGS="--sizes 64,128 --time 64 --rounds 1 --chart FILE" for a quick one)
	@scripts/python/setup.sh
	@$(ENV) && .venv/bin/python scripts/bench/memory.py $(BENCH_FLAGS)

bench-views: ## print the table of decoding and views beside torchvision (BENCH_FLAGS="--rounds 1 --seconds 0.2" for a quick one)
	@scripts/python/setup.sh
	@$(ENV) && .venv/bin/python scripts/bench/views.py $(BENCH_FLAGS)

bench-weights: ## print the table of loading and saving weights beside PyTorch (5 GB of disk; BENCH_FLAGS="--dir /dev/shm")
	@scripts/python/setup.sh
	@$(ENV) && .venv/bin/python scripts/bench/weights.py $(BENCH_FLAGS)

bench-tokenize: ## print the table of tokenization beside the Python package (BENCH_FLAGS="--megabytes 1" for a quick one)
	@scripts/python/setup.sh
	@$(ENV) && .venv/bin/python scripts/bench/tokens.py $(BENCH_FLAGS)

parity: ## print the certificate of 50 training steps beside PyTorch's, and a row for every kind of block
	@$(ENV) && go test -count 1 -run '^TestParity' -v ./train ./vision

check-python: ## have PyTorch, timm and Chromium read what gojepa writes (5 GB in .venv, once)
	@scripts/python/setup.sh
	@$(ENV) && for check in scripts/python/check_*.py; do echo "$$check" && .venv/bin/python "$$check" || exit 1; done

notebooks: ## execute the notebooks and keep what they draw (NOTEBOOK_FLAGS=--check keeps nothing)
	@scripts/python/setup.sh
	@$(ENV) && .venv/bin/python scripts/python/notebooks.py $(NOTEBOOK_FLAGS)

clean: ## remove the tools and .venv (runs stay, and libtorch in ~/.cache/gojepa)
	rm -rf $(TOOLS) .venv

$(lint_bin):
	@$(call install,github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v$(GOLANGCI_LINT))

$(test_bin):
	@$(call install,gotest.tools/gotestsum@v$(GOTESTSUM))
