#include "solvers/statistics_repair.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/sqrt.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <fmt/core.h>

#include <algorithm>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/progress.h"

namespace sparsify {
namespace {

/// Mean and variance (divided by n) of z = W x, float64.
struct Spread {
  at::Tensor mean;
  at::Tensor variance;
};

/// Samples whose columns are formed at one time.
constexpr int64_t kChunk = 32;

/// `read` gives the layer's input in a batch.
template <class Read>
Spread spread_of(const LinearSite& site, const Step& step, const at::Tensor& matrix, size_t batches, const Read& read) {
  at::Tensor shift;  // about which sums are taken: far from it, sums of squares would cancel
  at::Tensor sum = at::zeros({site.rows}, at::kDouble);
  at::Tensor squares = at::zeros({site.rows}, at::kDouble);
  double count = 0;
  for (size_t batch = 0; batch < batches; ++batch) {
    check_interrupt();
    const at::Tensor input = read(batch).to(at::kCPU);
    const at::Tensor weights = matrix.to(input.scalar_type()).view({site.groups, -1, site.columns});
    const int64_t chunk = site.kind == LinearSite::Kind::Product ? input.size(0) : kChunk;
    for (int64_t first = 0; first < input.size(0); first += chunk) {
      const at::Tensor part = input.narrow(0, first, std::min(chunk, input.size(0) - first));
      const at::Tensor columns = site_columns(site, step, part, output_shape(site, step, part));
      at::Tensor rows = at::bmm(weights, columns).view({site.rows, -1}).to(at::kDouble);
      if (!shift.defined()) shift = rows.mean(1);
      rows = rows - shift.unsqueeze(1);
      sum.add_(rows.sum(1));
      squares.add_(rows.square().sum(1));
      count += static_cast<double>(rows.size(1));
    }
  }
  const at::Tensor mean = sum / count;
  return {mean + shift, (squares / count - mean.square()).clamp_min(0)};
}

class Repair {
 public:
  Repair(NetworkPair& networks, const DataSource& data) : networks_(networks), data_(data) {}

  StatisticsRepair run(const std::vector<PrunableTensor>& tensors, const std::set<int>& pruned) {
    std::vector<LinearSite> sites;
    for (const PrunableTensor& tensor : tensors) {
      if (tensor.kind != "weight") continue;
      std::string reason;
      LinearSite site = find_site(networks_.pruned(), tensor, reason);
      if (!reason.empty() || site.adds_unknown) continue;
      if (site.kind == LinearSite::Kind::Product && !pruned.contains(tensor.id)) continue;
      sites.push_back(std::move(site));
    }
    std::sort(sites.begin(), sites.end(), [](const LinearSite& a, const LinearSite& b) { return a.step < b.step; });
    std::vector<int> pins;
    for (const LinearSite& site : sites) pins.push_back(site.input_slot);
    networks_.start(data_, pins, pins);
    result_.samples = networks_.samples();
    Progress progress("repairing statistics", static_cast<int64_t>(sites.size()));
    for (const LinearSite& site : sites) {
      repair(site);
      networks_.drop({site.input_slot}, {site.input_slot});
      progress.advance(1, site.tensor.layer);
    }
    return std::move(result_);
  }

 private:
  Parameter& parameter(int id) {
    for (Parameter& one : networks_.pruned().parameters()) {
      if (one.tensor_id == id) return one;
    }
    invariant(false, "a site's tensors are parameters");
    __builtin_unreachable();
  }

  void write_(int id, const at::Tensor& values) {
    at::Tensor& own = parameter(id).tensor;
    own.copy_(values.view(own.sizes()));
    result_.changed.push_back(id);
  }

  void repair(const LinearSite& site) {
    const bool norm = site.mean_id >= 0;
    if (!norm && site.constants.empty()) {
      result_.warnings.push_back(
          fmt::format("layer \"{}\" has neither a bias nor BatchNormalization behind it: its statistics stay as they are", site.tensor.layer));
      return;
    }
    const Step& step = networks_.pruned().plan().steps[site.step];
    at::Tensor& own = parameter(site.tensor.id).tensor;
    const at::Tensor weights = to_matrix(site, own);
    const Spread pruned =
        spread_of(site, step, weights, networks_.batches(), [&](size_t batch) { return networks_.pruned_value(batch, site.input_slot); });
    if (norm) {
      write_(site.mean_id, pruned.mean + site.norm_shift);
      write_(site.variance_id, pruned.variance);
      return;
    }
    const at::Tensor before = to_matrix(site, networks_.dense_parameter(site.tensor.id));
    const Spread dense =
        spread_of(site, step, before, networks_.batches(), [&](size_t batch) { return networks_.dense_value(batch, site.input_slot); });
    const at::Tensor factor =
        at::where(pruned.variance > 0, at::sqrt(dense.variance / pruned.variance), at::ones_like(pruned.variance));
    own.copy_(from_matrix(site, at::where(weights == 0, at::zeros_like(weights), weights * factor.unsqueeze(1))));
    result_.changed.push_back(site.tensor.id);
    const AddedConstant& bias = site.constants.back();
    const at::Tensor old = parameter(bias.id).tensor.to(at::kCPU, at::kDouble).reshape({-1});
    write_(bias.id, old + (dense.mean - factor * pruned.mean) / bias.scale);
  }

  NetworkPair& networks_;
  const DataSource& data_;
  StatisticsRepair result_;
};

}  // namespace

StatisticsRepair repair_statistics_(NetworkPair& networks, const DataSource& data, const std::vector<PrunableTensor>& tensors,
                                    const std::set<int>& pruned) {
  return Repair(networks, data).run(tensors, pruned);
}

}  // namespace sparsify
