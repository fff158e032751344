import Glibc

/// SIGUSR1 to this process.
func raiseUserSignal() { kill(getpid(), SIGUSR1) }
