#include "base/interrupt.h"

#include <atomic>
#include <csignal>
#include <unistd.h>

#include "base/defer_interrupts.h"
#include "base/error.h"

namespace sparsify {
namespace {

volatile std::sig_atomic_t requested = 0;
std::atomic<int> deferring = 0;

extern "C" void on_signal(int) {
  if (requested != 0) ::_exit(kInterrupted);
  requested = 1;
}

}  // namespace

DeferInterrupts::DeferInterrupts() { ++deferring; }
DeferInterrupts::~DeferInterrupts() { --deferring; }

void install_interrupt_handlers() {
  struct sigaction action {};
  action.sa_handler = on_signal;
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
  // A write beyond the limit on file sizes, or into a closed pipe, then fails as an error that can be reported.
  action.sa_handler = SIG_IGN;
  ::sigaction(SIGXFSZ, &action, nullptr);
  ::sigaction(SIGPIPE, &action, nullptr);
}

bool interrupt_requested() { return requested != 0; }

void check_interrupt() {
  if (requested == 0 || deferring > 0) return;
  throw InterruptedError{{.what = "interrupted",
                          .where = "a signal from outside",
                          .fix = "run the command again; no partial output was left (of training and solvers --resume goes on)"}};
}

}  // namespace sparsify
