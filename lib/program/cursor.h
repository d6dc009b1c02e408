#pragma once

#include <map>
#include <memory>
#include <set>
#include <vector>

#include "base/scratch_file.h"
#include "program/executor.h"
#include "program/program.h"

namespace sparsify {

/// One run of a program that goes on only as far as it is asked to: a value is computed when it is wanted, from the
/// values that are there already, and freed when everything that reads it has run. A layer-wise method so pays for each
/// part of the network once. Weights that are changed in place count for the steps that have not run yet.
///
/// Slots are those of Program::plan(); nothing is folded, and the order is that of the plan among the steps needed.
class Cursor {
 public:
  ///   pinned  slots that stay until drop(), however often they have been read
  ///   throws  ShapeError when inputs do not fit the signature
  Cursor(const Program& program, const std::vector<Value>& inputs, const std::vector<int>& pinned);
  ~Cursor();
  Cursor(const Cursor&) = delete;
  Cursor& operator=(const Cursor&) = delete;

  /// The value of a slot of the main graph. throws what the operators throw
  const Value& value(int slot);
  /// A pinned slot may go as soon as nothing that has not run reads it.
  void drop(int slot);

  /// Bytes of the values that memory holds; weights and constants, which all runs of a program share, are not counted.
  int64_t held_bytes() const;
  /// Puts those values on disk; the next value() takes them back. What lies there already and has not changed is not written again.
  ///   throws  as ScratchFile::put()
  void park(ScratchFile& disk);

 private:
  /// Where a value lies on disk, and how it lay in memory.
  struct Parked {
    ScratchFile* disk;
    int64_t place;
    int64_t bytes;
    std::vector<int64_t> sizes;
    std::vector<int64_t> strides;
    at::TensorOptions options;
    DType type;
  };

  void run(size_t step);
  void release_if_done(int slot);
  bool can_park(int slot) const;
  void take_back();

  std::map<int, Value> stored_;
  RunContext context_;
  Frame frame_;
  std::unique_ptr<Executor> executor_;
  std::vector<int> producer_;  ///< per slot: step; -1 for inputs and stored tensors
  std::vector<int> readers_;   ///< per slot: steps that have not run and read it
  std::vector<bool> done_;     ///< per step
  std::multiset<int> pinned_;
  std::map<int, Parked> parked_;  ///< by slot; the value may be in memory as well
};

}  // namespace sparsify
