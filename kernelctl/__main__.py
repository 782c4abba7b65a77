"""`python -m kernelctl`: as the command `kernelctl`, also where no command is installed."""

from kernelctl.kernelctl import main

if __name__ == "__main__":
    main(prog_name="kernelctl")
