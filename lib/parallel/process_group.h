#pragma once

#include <span>
#include <string>

namespace sparsify {

/// The processes that train one model together, each on its share of every batch. MPI or LibTorch's c10d moves what moves between them.
/// The first of them alone writes, measures and speaks; the others wait for its orders.
class ProcessGroup {
 public:
  virtual ~ProcessGroup() = default;

  virtual int rank() const = 0;  ///< 0 .. size() - 1
  virtual int size() const = 0;
  bool is_first() const { return rank() == 0; }

  /// Element by element over all processes, in place: the same bytes everywhere. All call these in one order, with one size.
  virtual void sum_(std::span<float> values) = 0;
  virtual void sum_(std::span<double> values) = 0;
  /// The bytes of the first process, everywhere.
  virtual void broadcast_(std::string& bytes) = 0;

  /// Of the first process: what the others are to do next. They are busy until end_work().
  void give_order(std::string order);
  /// Of the others. "" = there is nothing more to do.
  std::string await_order();
  /// All processes have come to the end of an order, and know it of each other.
  void end_work() { busy_ = false; }

  /// Before the process ends with `exit_code`: sends the others home, or ends them if they are in the middle of an order.
  void leave(int exit_code);

 private:
  virtual void finish() = 0;
  virtual void end_all(int exit_code) = 0;

  bool busy_ = false;
};

/// Those that `mpirun`, `srun` or `torchrun` started together with this one, joined on the first call; null when it was started alone.
/// throws ConfigError if the program was built without MPI, or without c10d for torchrun
ProcessGroup* process_group();

/// Whether this process was started beside a first one: known before they are joined.
bool is_started_as_helper();

/// `Open MPI 4.1.4, c10d (Gloo)`; "" if the program was built without either.
std::string process_library();

/// If this process has joined others.
void leave_processes(int exit_code);

/// Called by the modules `mpi` and `c10d` while they load.
bool register_process_group(ProcessGroup* (*join)());

}  // namespace sparsify
