# Everything a person or a CI machine runs. Needs python3 >= 3.11, make and git; brings the rest itself, outside the tree.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
.NOTPARALLEL:

# The distribution's own Python first: it is built with profile-guided optimisation, a third faster at starting modules than one
# compiled with the defaults, and starting modules is most of what Ansible costs.
PYTHON ?=
PYTHONS := $(or $(PYTHON),/usr/bin/python3 python3 python3.13 python3.12 python3.11)
NEW_ENOUGH := sys.exit(sys.version_info < (3, 11))
first_python = $(shell for name in $(PYTHONS); do $$name -c '$(1) import sys; $(NEW_ENOUGH)' 2>/dev/null && { echo $$name; break; }; done)
FOUND_PYTHON := $(or $(call first_python,import ensurepip;),$(call first_python))
ifeq ($(FOUND_PYTHON),)
$(error Python 3.11 or later is needed and none was found; on Debian 12: apt-get install python3 python3-venv)
endif

export REKEY_CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/rekey.kubernetes
WORKSPACE := $(FOUND_PYTHON) tests/tools/workspace.py
VENV := $(shell $(WORKSPACE) venv requirements-dev.txt)
COLLECTIONS := $(shell $(WORKSPACE) collections)
IN_VENV := PATH="$(VENV)/bin:$$PATH"
WITH_KUBECTL := export KUBECTL="$${KUBECTL:-$$($(VENV)/bin/python tests/tools/kubectl_path.py)}";
BED := $(IN_VENV) $(VENV)/bin/python tests/beds/loopback/bed.py
# The beds share where their binaries come from.
KUBEADM_BED := $(IN_VENV) PYTHONPATH=tests/beds/loopback $(VENV)/bin/python tests/beds/kubeadm/bed.py

# A scenario's folder is its own and has a short name: a bed in it has sockets, whose paths are limited.
molecule = venv=$$($(WORKSPACE) make-venv tests/requirements/molecule.txt); folder=$$($(WORKSPACE) folder molecule); \
	for scenario in $(1); do \
		PATH="$$venv/bin:$$PATH" MOLECULE_COMMAND_BORDERS=0 MOLECULE_EPHEMERAL_DIRECTORY="$$folder/$$scenario" \
			molecule $(or $(COMMAND),test) -s $$scenario; \
	done

export ANSIBLE_CONFIG := $(CURDIR)/tests/ansible.cfg
export ANSIBLE_COLLECTIONS_PATH := $(COLLECTIONS)
export ANSIBLE_HOME := $(REKEY_CACHE)/ansible-home
export HYPOTHESIS_STORAGE_DIRECTORY := $(REKEY_CACHE)/hypothesis
export PYTHONPATH := $(COLLECTIONS)
# Byte code goes to the cache, so that running the tests leaves nothing in the tree.
export PYTHONPYCACHEPREFIX := $(REKEY_CACHE)/pycache
export PYTHONUNBUFFERED := 1

NODE_SIDE_TESTS := tests/unit/plugins/module_utils tests/unit/plugins/modules
# The longest first, so that two cores are busy to the end; the rotation has the machine for itself, because it is timed.
TOGETHER := integration sanity unit next-core unit-oldest unit-minimum lint build docs-check types
ALONE := rotation-test kubeadm-catalogue kubeadm-test
# A number that nobody's own bed has.
KUBEADM_TESTS := REKEY_KUBEADM_BED=$${REKEY_KUBEADM_BED:-9} $(IN_VENV) $(VENV)/bin/python -m pytest
# As root on Debian what the nodes need is installed; anyone else is told by the tests what was left out.
NODES_IF_ROOT := @[[ $$(id -u) -ne 0 ]] || $(MAKE) nodes

.PHONY: help venv programs balancer lint types unit unit-minimum unit-oldest docs-check build sanity integration integration-oldest \
	next-core molecule molecule-kubeadm rotation-test chaos kubeadm-catalogue kubeadm-test kubeadm-test-all up status down nodes kubeadm-up kubeadm-status \
	kubeadm-down demo bench \
	test test-next test-all clean clean-cache

help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  %-16s %s\n", $$1, $$2}'

venv: ## install the tools into their own environment in the cache
	@tests/tools/need_programs.sh git=git
	@$(FOUND_PYTHON) -c 'import ensurepip, venv' 2>/dev/null || tests/tools/need_programs.sh "no-ensurepip=python3-venv"
	@$(WORKSPACE) make-venv requirements-dev.txt >/dev/null

programs:
	@tests/tools/need_programs.sh openssl=openssl

balancer: programs
	@tests/tools/need_programs.sh haproxy=haproxy

lint: venv ## ansible-lint (production profile), yamllint, ruff
	@copy=$$($(WORKSPACE) copy lint); cd "$$copy"; export ANSIBLE_COLLECTIONS_PATH="$${copy%/ansible_collections/*}"; failed=; \
		$(IN_VENV) ruff check --no-cache --output-format concise . || failed=yes; \
		$(IN_VENV) yamllint --strict . || failed=yes; \
		$(IN_VENV) ansible-lint --offline --nocolor --profile production --strict || failed=yes; \
		[[ -z $$failed ]]

types: venv ## mypy over everything under plugins
	cd "$(COLLECTIONS)"; $(VENV)/bin/mypy --config-file "$(CURDIR)/.mypy.ini" --cache-dir "$(REKEY_CACHE)/mypy" \
		ansible_collections/rekey/kubernetes/plugins

unit: venv programs ## unit tests with the newest cryptography
	$(VENV)/bin/python -m pytest

unit-minimum: venv programs ## unit tests with Debian 12's cryptography
	minimum=$$($(WORKSPACE) make-venv tests/requirements/minimum.txt); "$$minimum/bin/python" -m pytest $(NODE_SIDE_TESTS)

unit-oldest: venv programs ## unit tests of what runs on nodes, on Python 3.9
	VENV=$(VENV) tests/tools/with_oldest.sh $@ tests/tools/unit_oldest.sh $(NODE_SIDE_TESTS)

docs-check: venv ## ansible-doc of every module and role, antsibull's checks of documentation and changelog
	copy=$$($(WORKSPACE) copy docs); $(IN_VENV) $(VENV)/bin/python tests/tools/check_docs.py "$$copy"

build: venv ## build the archive, look into it, install it and use it from there
	$(IN_VENV) $(VENV)/bin/python tests/tools/check_archive.py

sanity: venv ## ansible-test sanity, all tests
	@tests/tools/need_programs.sh shellcheck=shellcheck
	TEST_PYTHONS=3.9 $(VENV)/bin/python tests/tools/run_ansible_test.py sanity sanity \
		--controller origin:python={python} --target-python {python}

integration: venv programs ## every module against files, judged by openssl and kubectl
	$(WITH_KUBECTL) $(VENV)/bin/python tests/tools/run_ansible_test.py integration integration --local --python {python} $(TARGET)

integration-oldest: venv programs ## the same, with hosts that have Python 3.9 and Debian 12's cryptography
	$(WITH_KUBECTL) tests/tools/with_oldest.sh $@ $(VENV)/bin/python tests/tools/run_ansible_test.py integration-oldest integration \
		--controller origin:python={python} --target controller:python=3.9@{oldest}/bin/python3.9 $(TARGET)

next-core: ## sanity and the installed archive with the current stable ansible-core (Python 3.12+)
	tests/tools/next_core.sh build sanity

molecule: venv balancer ## a scenario for each role, on hosts that are directories of this machine
	$(call molecule,$(or $(SCENARIO),pki pki_authority pki_node pki_rotate))

molecule-kubeadm: venv ## scenarios on a real kubeadm cluster, needs root: adopt, rotate, verify; join
	[[ $$(id -u) -eq 0 ]] || exec tests/tools/left_out.sh $@ "its nodes are containers that only root can start"; \
		$(MAKE) nodes; $(call molecule,$(or $(SCENARIO),kubeadm pki_join))

up: venv balancer ## start the loopback bed, provisioned
	$(BED) up

status: venv ## show the loopback bed's processes
	$(BED) status

down: venv ## stop the loopback bed and remove it
	$(BED) down

nodes:
	@tests/tools/need_programs.sh podman=podman runc=runc debootstrap=debootstrap ssh=openssh-client

kubeadm-up: venv nodes ## start the kubeadm bed: podman nodes, needs root
	$(KUBEADM_BED) up

kubeadm-status: venv ## show the kubeadm bed's nodes and pods
	$(KUBEADM_BED) status

kubeadm-down: venv ## stop the kubeadm bed and remove it
	$(KUBEADM_BED) down

demo: venv balancer ## bring up a control plane, rotate its three CAs under load, show the result
	$(IN_VENV) $(VENV)/bin/python tests/beds/loopback/demo.py

rotation-test: venv balancer ## the rotation on the loopback bed, judged by an independent client
	$(IN_VENV) $(VENV)/bin/python -m pytest tests/system/test_rotation.py tests/system/test_recovery.py

chaos: venv balancer ## rollbacks from every phase; rotations killed at every task, at random moments, and once, until they end (most of an hour)
	$(IN_VENV) $(VENV)/bin/python -m pytest tests/system/test_rollbacks.py
	$(IN_VENV) $(VENV)/bin/python tests/beds/loopback/chaos.py $(WAYS)

kubeadm-catalogue: venv programs ## our tables against what kubeadm itself makes, for every supported version
	$(IN_VENV) $(VENV)/bin/python -m pytest tests/system/test_kubeadm_catalogue.py

kubeadm-test: venv ## adoption and a rotation of a real kubeadm cluster under load, on podman nodes; needs root
	$(NODES_IF_ROOT)
	$(KUBEADM_TESTS) tests/system/test_kubeadm.py

kubeadm-test-all: venv ## everything else about kubeadm clusters: other flags, sizes, versions, what is there before kubeadm
	$(NODES_IF_ROOT)
	$(KUBEADM_TESTS) $(filter-out %/test_kubeadm_catalogue.py %/test_kubeadm.py,$(wildcard tests/system/test_kubeadm*.py))

bench: venv programs ## compare with the peers, as one table of ratios
	venv=$$($(WORKSPACE) make-venv tests/requirements/bench.txt); PATH="$$venv/bin:$$PATH" "$$venv/bin/python" bench/bench.py

test: ## everything that must hold before a change lands
	@$(FOUND_PYTHON) tests/tools/steps.py --together $(TOGETHER) --alone $(ALONE)

test-next: # what differs with another ansible-core, the rotation too
	@$(FOUND_PYTHON) tests/tools/steps.py --together integration sanity unit build docs-check --alone rotation-test

test-all: ## test, then again with the current stable ansible-core, the rotation too
	@$(FOUND_PYTHON) tests/tools/steps.py --together integration-oldest $(filter-out next-core,$(TOGETHER)) \
		--alone $(ALONE) molecule molecule-kubeadm kubeadm-test-all chaos
	@tests/tools/next_core.sh test-next

clean: ## remove what runs have left in the tree
	rm -rf build tests/output .ansible

clean-cache: ## remove the cache: environments, binaries, copies
	rm -rf "$(REKEY_CACHE)"
