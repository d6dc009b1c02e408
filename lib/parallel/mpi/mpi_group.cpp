// The module `mpi`: loaded when the program was started by mpirun or srun, because libmpi takes a while to load.
#include <fmt/core.h>
#include <mpi.h>

#include <algorithm>
#include <cstdint>
#include <limits>

#include "base/error.h"
#include "base/module.h"
#include "parallel/process_group.h"

namespace sparsify {
namespace {

void require(int code, const char* what) {
  if (code == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING] = "";
  int length = 0;
  MPI_Error_string(code, text, &length);
  throw ResourceError{{.what = fmt::format("the processes cannot {}: {}", what, std::string(text, static_cast<size_t>(length))),
                       .where = "MPI",
                       .fix = "see what mpirun says, and that all processes run on machines that reach each other"}};
}

class MpiGroup final : public ProcessGroup {
 public:
  MpiGroup() {
    int level = 0;
    require(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &level), "be started");  // data is read in other threads
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    require(MPI_Comm_rank(MPI_COMM_WORLD, &rank_), "be counted");
    require(MPI_Comm_size(MPI_COMM_WORLD, &size_), "be counted");
  }

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  void sum_(std::span<float> values) override { sum(values, MPI_FLOAT); }
  void sum_(std::span<double> values) override { sum(values, MPI_DOUBLE); }

  void broadcast_(std::string& bytes) override {
    uint64_t size = bytes.size();
    require(MPI_Bcast(&size, 1, MPI_UINT64_T, 0, MPI_COMM_WORLD), "talk to each other");
    bytes.resize(size);
    in_parts(std::span(bytes), [](char* part, int count) { require(MPI_Bcast(part, count, MPI_CHAR, 0, MPI_COMM_WORLD), "talk to each other"); });
  }

 private:
  /// MPI counts in int.
  template <class T, class Action>
  static void in_parts(std::span<T> values, Action action) {
    constexpr size_t kMost = 1 << 28;
    for (size_t first = 0; first < values.size(); first += kMost) {
      action(values.data() + first, static_cast<int>(std::min(kMost, values.size() - first)));
    }
  }

  template <class T>
  static void sum(std::span<T> values, MPI_Datatype type) {
    in_parts(values, [type](T* part, int count) {
      require(MPI_Allreduce(MPI_IN_PLACE, part, count, type, MPI_SUM, MPI_COMM_WORLD), "add up their gradients");
    });
  }

  void finish() override { MPI_Finalize(); }
  void end_all(int exit_code) override { MPI_Abort(MPI_COMM_WORLD, exit_code); }

  int rank_ = 0;
  int size_ = 1;
};

[[maybe_unused]] const bool registered =
    register_module("mpi") && register_process_group([]() -> ProcessGroup* { return new MpiGroup; });  // lives until leave_processes()

}  // namespace
}  // namespace sparsify
