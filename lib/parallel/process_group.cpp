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

/// Variables that launchers set: mpirun, srun with pmix, srun with pmi2.
int number_of(std::initializer_list<const char*> variables, int otherwise) {
  for (const char* variable : variables) {
    if (const char* text = std::getenv(variable)) return std::atoi(text);
  }
  return otherwise;
}

int started_rank() { return number_of({"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK"}, 0); }

/// 0: not by a launcher of MPI. PMIx does not say it: SLURM does.
int started_size() {
  const int size = number_of({"OMPI_COMM_WORLD_SIZE", "PMI_SIZE"}, 0);
  if (size > 0) return size;
  return std::getenv("PMIX_RANK") == nullptr ? 0 : number_of({"SLURM_STEP_NUM_TASKS", "SLURM_NTASKS"}, 1);
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
  if (joined() != nullptr || started_size() < 2) return joined();
  if (process_library().empty()) {
    throw ConfigError{{.what = fmt::format("{} processes were started, and this sparsify was built without MPI", started_size()),
                       .where = "mpirun",
                       .fix = "start one process, or build with MPI (SPARSIFY_MPI=1 scripts/setup; docs/training.md)"}};
  }
  load_module("mpi");
  joined() = join_function()();
  return joined();
}

bool is_started_as_helper() { return started_size() > 1 && started_rank() > 0; }

std::string process_library() { return SPARSIFY_MPI_LIBRARY; }

void leave_processes(int exit_code) {
  if (joined() != nullptr) joined()->leave(exit_code);
}

bool register_process_group(ProcessGroup* (*join)()) {
  join_function() = join;
  return true;
}

}  // namespace sparsify
