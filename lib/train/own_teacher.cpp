#include "train/own_teacher.h"

#include <algorithm>
#include <map>

namespace sparsify {
namespace {

bool are_equal(const HostTensor& a, const HostTensor& b) {
  return a.type() == b.type() && a.shape() == b.shape() && std::ranges::equal(a.bytes(), b.bytes()) && a.strings() == b.strings();
}

/// Whether holding the mask changes nothing.
bool is_held(const HostTensor& weights, const BitMask& mask) {
  const std::vector<float> values = weights.to_floats();
  for (int64_t i = 0; i < mask.size(); ++i) {
    if (!mask[i] && values[static_cast<size_t>(i)] != 0) return false;
  }
  return true;
}

}  // namespace

bool is_own_teacher(const TrainTask& task) {
  if (task.teacher == nullptr || task.capture_step || !task.mask_steps.empty() || task.dynamic || task.movement) return false;
  const auto start = [&](int id) {
    const auto changed = task.start.find(id);
    return changed == task.start.end() ? task.file->tensor_data(id) : changed->second;
  };
  for (const auto& [id, mask] : task.masks) {
    if (!is_held(start(id), mask)) return false;
  }
  std::map<std::string, int> taught;
  for (const StoredTensor& tensor : task.teacher->model().graph.initializers) taught[tensor.name] = tensor.id;
  for (const StoredTensor& tensor : task.file->model().graph.initializers) {
    const auto found = taught.find(tensor.name);
    if (found == taught.end() || !are_equal(start(tensor.id), task.teacher->tensor_data(found->second))) return false;
  }
  return true;
}

}  // namespace sparsify
