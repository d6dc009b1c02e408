// The dense network once, from reader to reader: Gram matrices of their inputs, then the elimination of each group.
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>
#include <c10/core/InferenceMode.h>
#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <optional>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/progress.h"
#include "solvers/backward_elimination.h"
#include "solvers/moments.h"
#include "solvers/network_pair.h"

namespace sparsify {
namespace {

constexpr double kDamping = 0.01;  ///< times the mean of the Gram matrix's diagonal
/// Matrices are updated about so often that it costs this many multiplications a group.
constexpr double kMostWork = 2e11;

/// A weight at its place, for all groups that it reads.
struct Site {
  LinearSite site{};
  std::vector<std::pair<size_t, size_t>> uses{};  ///< group, reader
};

struct PartialProblem {
  ReaderProblem problem{};
  bool scaled = false;  ///< its share of the sum behind it is in the row weights
};

class Run {
 public:
  Run(const ModelFile& file, const EliminationTask& task)
      : task_(task), networks_(file, task.device == "auto" ? "cpu" : task.device, /*dense=*/false), result_(task.groups.size()), problems_(task.groups.size()) {}

  std::vector<Elimination> run() {
    find_sites();
    std::vector<int> pins;
    for (const Site& site : sites_) pins.insert(pins.end(), {site.site.input_slot, site.site.target_slot});
    if (!sites_.empty()) networks_.start(*task_.calibration, pins, {}, task_.samples);
    Progress progress("choosing what goes", static_cast<int64_t>(sites_.size()));
    for (size_t i = 0; i < sites_.size(); ++i) {
      visit(sites_[i]);
      networks_.drop({sites_[i].site.input_slot, sites_[i].site.target_slot}, {});
      const bool adds_later = std::any_of(sites_.begin() + static_cast<std::ptrdiff_t>(i) + 1, sites_.end(), [](const Site& one) { return one.site.skip_slot >= 0; });
      if (!adds_later) scale_open(1);
      eliminate_complete();
      progress.advance(1, sites_[i].site.tensor.layer);
    }
    return std::move(result_);
  }

 private:
  void find_sites() {
    std::map<int, Site> by_tensor;
    for (size_t g = 0; g < task_.groups.size(); ++g) {
      problems_[g].resize(task_.groups[g].readers.size());
      for (size_t r = 0; r < task_.groups[g].readers.size(); ++r) {
        const UnitReader& reader = task_.groups[g].readers[r];
        if (!by_tensor.contains(reader.tensor.id)) {
          std::string reason;
          LinearSite site = find_site(networks_.pruned(), reader.tensor, reason);
          if (!reason.empty()) {
            result_[g].note = fmt::format("\"{}\" reads it and cannot be solved: {}", reader.tensor.layer, reason);
            continue;
          }
          by_tensor[reader.tensor.id].site = std::move(site);
        }
        by_tensor[reader.tensor.id].uses.emplace_back(g, r);
      }
      if (task_.groups[g].readers.empty()) result_[g].note = "no weight reads it";
    }
    for (auto& [id, site] : by_tensor) sites_.push_back(std::move(site));
    std::erase_if(sites_, [&](const Site& site) {
      return std::all_of(site.uses.begin(), site.uses.end(), [&](const auto& use) { return !result_[use.first].note.empty(); });
    });
    std::sort(sites_.begin(), sites_.end(), [](const Site& a, const Site& b) { return a.site.step < b.site.step; });
  }

  /// Sum over outputs of the variance of the value at the target, over all batches.
  double target_variance(const LinearSite& site) {
    at::Tensor sum;
    at::Tensor squares;
    double count = 0;
    for (size_t batch = 0; batch < networks_.batches(); ++batch) {
      const at::Tensor rows = site_rows(site, networks_.pruned_value(batch, site.target_slot).to(at::kCPU)).to(at::kDouble);
      const at::Tensor one = rows.sum(1);
      const at::Tensor two = rows.square().sum(1);
      sum = sum.defined() ? sum + one : one;
      squares = squares.defined() ? squares + two : two;
      count += static_cast<double>(rows.size(1));
    }
    return (squares / count - (sum / count).square()).clamp_min(0).sum().item<double>();
  }

  at::Tensor parameter(int id) const {
    for (const Parameter& one : networks_.pruned().parameters()) {
      if (one.tensor_id == id) return one.tensor;
    }
    invariant(false, "a site's weight is a parameter");
    __builtin_unreachable();
  }

  void visit(const Site& visited) {
    const LinearSite& site = visited.site;
    const Step& step = networks_.pruned().plan().steps[site.step];
    Moments moments;
    for (size_t batch = 0; batch < networks_.batches(); ++batch) {
      check_interrupt();
      const at::Tensor input = networks_.pruned_value(batch, site.input_slot);
      add_moments(site, step, input, output_shape(site, step, input), nullptr, /*with_gram=*/true, moments);
    }
    const at::Tensor gram = (moments.gram - moments.input_sum.unsqueeze(2) * moments.input_sum.unsqueeze(1) / moments.count) / moments.count;
    const at::Tensor weights = to_matrix(site, parameter(site.tensor.id));
    const at::Tensor rows = weights.view({site.groups, -1, site.columns});
    const at::Tensor variance = (at::bmm(rows, gram) * rows).sum(2).view({-1});
    const double own = (site.scale.square() * variance).sum().item<double>();
    const double all = target_variance(site);
    if (site.skip_slot >= 0) scale_open(all > 0 ? std::min(1.0, own / all) : 1.0);
    at::Tensor hessian = gram + kDamping * gram.diagonal(0, 1, 2).mean() * at::eye(site.columns, at::kDouble);
    const at::Tensor diagonal = hessian.diagonal(0, 1, 2);
    diagonal.add_(at::where(diagonal <= 0, at::ones_like(diagonal), at::zeros_like(diagonal)));
    for (const auto& [g, r] : visited.uses) {
      if (!result_[g].note.empty()) continue;
      problems_[g][r] = PartialProblem{.problem = {.hessian = hessian,
                                                   .weights = weights,
                                                   .row_weight = site.scale.square() / std::max(all, 1e-30),
                                                   .unit_of = units_of(site, task_.groups[g].readers[r])},
                                       .scaled = site.skip_slot >= 0};
    }
  }

  /// An error inside a block reaches the sum behind it as much as the block's last layer does.
  void scale_open(double part) {
    for (auto& group : problems_) {
      for (std::optional<PartialProblem>& one : group) {
        if (!one || one->scaled) continue;
        one->problem.row_weight = one->problem.row_weight * part;
        one->scaled = true;
      }
    }
  }

  void eliminate_complete() {
    for (size_t g = 0; g < problems_.size(); ++g) {
      std::vector<std::optional<PartialProblem>>& group = problems_[g];
      if (group.empty() || !result_[g].note.empty() || !std::all_of(group.begin(), group.end(), [](const auto& one) { return one && one->scaled; })) continue;
      std::vector<ReaderProblem> problems;
      double work = 0;
      for (std::optional<PartialProblem>& one : group) {
        const auto columns = static_cast<double>(one->problem.hessian.size(1));
        work += static_cast<double>(one->problem.hessian.size(0)) * columns * columns * columns;
        problems.push_back(std::move(one->problem));
      }
      group.clear();
      result_[g] = eliminate_backward(task_.groups[g], problems, 1 + static_cast<int64_t>(work / kMostWork));
    }
  }

  static at::Tensor units_of(const LinearSite& site, const UnitReader& reader) {
    at::Tensor marked = at::full(at::IntArrayRef(reader.tensor.shape), -1, at::kDouble);
    for (size_t unit = 0; unit < reader.indices.size(); ++unit) {
      for (const int64_t index : reader.indices[unit]) marked.select(reader.axis, index).fill_(static_cast<double>(unit));
    }
    return to_matrix(site, marked).view({site.groups, -1, site.columns}).select(1, 0).to(at::kLong);
  }

  const EliminationTask& task_;
  NetworkPair networks_;
  std::vector<Elimination> result_;
  std::vector<std::vector<std::optional<PartialProblem>>> problems_;  ///< [group][reader]
  std::vector<Site> sites_;
};

class Engine final : public EliminationEngine {
 public:
  explicit Engine(const Options&) {}

  std::vector<Elimination> eliminate(const ModelFile& file, const EliminationTask& task) const override {
    const c10::InferenceMode inference;
    if (task.threads > 0) at::set_num_threads(static_cast<int>(task.threads));
    return Run(file, task).run();
  }
};

const Register<EliminationEngine, Engine> entry{"backward", "the dense network once, from reader to reader"};

}  // namespace
}  // namespace sparsify
