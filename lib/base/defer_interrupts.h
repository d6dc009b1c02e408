#pragma once

namespace sparsify {

/// While one lives, check_interrupt() lets the work go on, whichever thread asks: what is half done, such as a step of training, is no state to
/// resume from. interrupt_requested() still tells, and a second signal still ends the process at once.
class DeferInterrupts {
 public:
  DeferInterrupts();
  ~DeferInterrupts();
  DeferInterrupts(const DeferInterrupts&) = delete;
  DeferInterrupts& operator=(const DeferInterrupts&) = delete;
};

}  // namespace sparsify
