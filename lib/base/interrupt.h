#pragma once

namespace sparsify {

/// SIGINT and SIGTERM set a flag that long loops poll; a second signal ends the process at once (exit 130).
/// SIGXFSZ and SIGPIPE are ignored: the write itself reports the full disk or the closed pipe.
void install_interrupt_handlers();

/// Throws InterruptedError when a signal has arrived.
void check_interrupt();

bool interrupt_requested();

}  // namespace sparsify
