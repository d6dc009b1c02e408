#include "pipeline/size_budget.h"

#include <fmt/core.h>

#include <algorithm>
#include <set>

#include "base/error.h"
#include "pipeline/figures.h"
#include "report/text.h"

namespace sparsify {

SizeBudget::SizeBudget(const ModelFile& file, const AllocationTask& task, const SparsityBudget& budget, std::string where)
    : budget_(budget), where_(std::move(where)) {
  const std::vector<PrunableTensor> tensors = find_tensors(file);
  if (budget_.kind == "macs") {
    const std::map<std::string, int64_t> macs = count_macs(file).by_node;
    for (const PrunableTensor& tensor : tensors) {
      if (tensor.kind != "weight" || tensor.count() == 0) continue;
      for (const std::string& user : tensor.used_by) {
        if (const auto found = macs.find(user); found != macs.end()) macs_[tensor.id] += static_cast<double>(found->second);
      }
      macs_[tensor.id] /= static_cast<double>(tensor.count());
    }
    for (const PrunableTensor& layer : task.layers) {
      if (macs_[layer.id] > 0) continue;
      throw ConfigError{{.what = fmt::format("the multiply-accumulates of \"{}\" are unknown, because its shapes are open", layer.layer),
                         .where = where_,
                         .fix = "give a budget of params, or export the model with fixed shapes"}};
    }
  }
  std::set<int> own;
  for (const PrunableTensor& layer : task.layers) own.insert(layer.id);
  const std::map<int, int64_t> zeros = count_all_zeros(file, tensors);
  for (const PrunableTensor& tensor : tensors) {
    const double size = size_of(tensor, tensor.count() - zeros.at(tensor.id));
    whole_ += size;
    if (!own.contains(tensor.id)) others_ += size;
  }
}

double SizeBudget::size_of(const PrunableTensor& tensor, int64_t nonzero) const {
  if (budget_.kind == "params") return static_cast<double>(nonzero);
  if (budget_.kind == "macs") {
    const auto found = macs_.find(tensor.id);
    return found == macs_.end() ? 0 : found->second * static_cast<double>(nonzero);
  }
  const int64_t bits = bits_of(tensor.type);
  const int64_t width = std::max<int64_t>(1, bits / 8);
  const int64_t dense = (tensor.count() * bits + 7) / 8;
  const int64_t bitmap = nonzero * width + (tensor.count() + 7) / 8;
  const int64_t csr = nonzero * (width + 4) + (tensor.output_channels() + 1) * 4;
  return static_cast<double>(std::min({dense, bitmap, csr}));
}

double SizeBudget::with(const AllocationTask& task, const Budget& budget) const {
  double sum = others_;
  for (size_t i = 0; i < budget.size(); ++i) {
    const PrunableTensor& layer = task.layers[i];
    const int64_t weights = task.units[i] == layer.count() ? budget[i] : task.select(i, budget[i]).kept();  // blocks differ in size
    sum += size_of(layer, weights);
  }
  return sum;
}

Budget SizeBudget::fit(const Allocator& allocator, AllocationTask& task) const {
  const double limit = budget_.fraction * whole_;
  int64_t units = 0;
  int64_t low = 0;
  int64_t high = 0;
  for (size_t i = 0; i < task.units.size(); ++i) {
    units += task.units[i];
    low += task.floors[i];
    high += task.ceiling(i);
  }
  const auto keeping = [&](int64_t kept) {
    task.sparsity = 1 - static_cast<double>(kept) / static_cast<double>(std::max<int64_t>(units, 1));
    return allocator.allocate(task);
  };
  Budget best = keeping(high);
  if (with(task, best) <= limit) return best;
  best = keeping(low);
  if (const double least = with(task, best); least > limit) {
    throw ConfigError{{.what = fmt::format("the budget {{{}: {}}} cannot be met: with every layer at its floor {:.4g} of the input's {} stay",
                                           budget_.kind, budget_.fraction, least / whole_, budget_.kind),
                       .where = where_,
                       .fix = "give a larger budget, select more layers (select.first_last, select.depthwise), or lower min_density"}};
  }
  while (high - low > 1) {
    const int64_t middle = low + (high - low) / 2;
    Budget one = keeping(middle);
    if (with(task, one) <= limit) {
      low = middle;
      best = std::move(one);
    } else {
      high = middle;
    }
  }
  task.sparsity = 1 - static_cast<double>(low) / static_cast<double>(std::max<int64_t>(units, 1));
  return best;
}

std::string SizeBudget::describe(const AllocationTask& task, const Budget& budget) const {
  const double size = with(task, budget);
  const char* what = budget_.kind == "params" ? "weights that are not zero"
                     : budget_.kind == "macs" ? "multiply-accumulates whose weight is not zero"
                                              : "bytes of weights (each tensor dense, as bitmap or as CSR)";
  return fmt::format("budget {{{}: {}}}: {} of {} {} stay ({:.6f}), the most that fits", budget_.kind, budget_.fraction,
                     with_commas(static_cast<int64_t>(size)), with_commas(static_cast<int64_t>(whole_)), what, size / whole_);
}

}  // namespace sparsify
