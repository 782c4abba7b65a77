"""The whole product on one machine, without a container: `make run` in a checkout, `kernel-per-person` elsewhere."""
