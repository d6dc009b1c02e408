#include "parallel/process_group.h"

#include <fmt/core.h>

#include <cstdlib>
#include <utility>

#include "base/error.h"
#include "base/module.h"

namespace sparsify {
namespace {

using Join = ProcessGroup* (*)();

Join& join_function() {
  static Join join = nullptr;
  return join;
}

ProcessGroup*& joined() {
  static ProcessGroup* group = nullptr;
  return group;
}

int number_of(std::initializer_list<const char*> variables, int otherwise) {
  for (const char* variable : variables) {
    if (const char* text = std::getenv(variable)) return std::atoi(text);
  }
  return otherwise;
}

/// Who started this process beside others, by the variables that are set, and what joins them.
struct Launch {
  const char* launcher;
  const char* module;
  std::string library;  ///< "" = built without
  int rank = 0;
  int size = 0;         ///< 0: not started so
  const char* how_to_build;
};

/// mpirun, srun with pmix, srun with pmi2. PMIx does not say how many there are: SLURM does.
Launch by_mpi() {
  int size = number_of({"OMPI_COMM_WORLD_SIZE", "PMI_SIZE"}, 0);
  if (size == 0 && std::getenv("PMIX_RANK") != nullptr) size = number_of({"SLURM_STEP_NUM_TASKS", "SLURM_NTASKS"}, 1);
  return {"mpirun", "mpi", SPARSIFY_MPI_LIBRARY, number_of({"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK"}, 0), size,
          "build with MPI (SPARSIFY_MPI=1 scripts/setup; docs/training.md)"};
}

/// torchrun; MASTER_ADDR tells its variables from those of others that count with RANK.
Launch by_torchrun() {
  const bool is = std::getenv("MASTER_ADDR") != nullptr && std::getenv("RANK") != nullptr;
  return {"torchrun", "c10d", SPARSIFY_C10D_LIBRARY, number_of({"RANK"}, 0), is ? number_of({"WORLD_SIZE"}, 0) : 0,
          "build with -DSPARSIFY_C10D=ON (docs/training.md)"};
}

/// Under srun both may be set: then the one that is built in counts.
Launch launch() {
  const Launch mpi = by_mpi();
  const Launch torchrun = by_torchrun();
  if (mpi.size < 2 || (mpi.library.empty() && torchrun.size > 1 && !torchrun.library.empty())) return torchrun;
  return mpi;
}

}  // namespace

void ProcessGroup::give_order(std::string order) {
  busy_ = true;
  broadcast_(order);
}

std::string ProcessGroup::await_order() {
  std::string order;
  broadcast_(order);
  busy_ = !order.empty();
  return order;
}

void ProcessGroup::leave(int exit_code) {
  if (busy_) end_all(exit_code);
  if (is_first()) {
    std::string nothing;
    broadcast_(nothing);
  }
  finish();
}

ProcessGroup* process_group() {
  if (joined() != nullptr) return joined();
  const Launch found = launch();
  if (found.size < 2) return nullptr;
  if (found.library.empty()) {
    throw ConfigError{{.what = fmt::format("{} processes were started by {}, and this sparsify was built without what joins them", found.size, found.launcher),
                       .where = found.launcher,
                       .fix = fmt::format("start one process, or {}", found.how_to_build)}};
  }
  load_module(found.module);
  joined() = join_function()();
  return joined();
}

bool is_started_as_helper() {
  const Launch found = launch();
  return found.size > 1 && found.rank > 0;
}

std::string process_library() {
  const std::string mpi = SPARSIFY_MPI_LIBRARY;
  const std::string c10d = SPARSIFY_C10D_LIBRARY;
  return mpi.empty() || c10d.empty() ? mpi + c10d : mpi + ", " + c10d;
}

void leave_processes(int exit_code) {
  if (joined() != nullptr) joined()->leave(exit_code);
}

bool register_process_group(ProcessGroup* (*join)()) {
  join_function() = join;
  return true;
}

}  // namespace sparsify
