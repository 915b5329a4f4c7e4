# The same tasks as `python run.py TASK`; `make help` lists them. Another Python: make lab PYTHON=python3.12
# Arguments for the task: make lab ARGS="--port 9999"
PYTHON ?= python3
MISSING = There is no $(PYTHON) here. Python 3.11 or newer is needed (Debian: apt install python3 python3-venv); \
	another one is named so: make lab PYTHON=python3.12
RUN = command -v $(PYTHON) >/dev/null || { echo "$(MISSING)" >&2; exit 1; }; $(PYTHON) run.py

help:
	@$(RUN)
lab test book slides student browser steady refresh bench experiments lock clean:
	@$(RUN) $@ $(ARGS)
# any other name: run.py answers with the tasks there are
.DEFAULT:
	@$(RUN) $@

.PHONY: help lab test book slides student browser steady refresh bench experiments lock clean
