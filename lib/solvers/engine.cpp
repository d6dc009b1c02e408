// The walk through the network: layer by layer, the dense and the pruned network side by side.
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/where.h>
#include <c10/core/InferenceMode.h>
#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <set>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/progress.h"
#include "config/plugin_name.h"
#include "solvers/correction.h"
#include "solvers/affected.h"
#include "solvers/checked_solution.h"
#include "solvers/layer_fit.h"
#include "solvers/reallocate.h"
#include "solvers/state_file.h"
#include "solvers/statistics_repair.h"

namespace sparsify {
namespace {

/// Curves for dividing the budget: batches that are looked at, ratio of two densities, least density.
constexpr size_t kCurveBatches = 4;
constexpr double kCurveStep = 0.8;
constexpr double kLeastDensity = 0.01;

struct Layer {
  size_t index = 0;  ///< in the task
  LinearSite site{};
  std::unique_ptr<Solver> solver{};
  std::unique_ptr<Pattern> pattern{};
  PluginName solver_name{};  ///< for messages
  PluginName pattern_name{};
};

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

at::Tensor bytes_of(const BitMask& mask, at::IntArrayRef shape) {
  at::Tensor bytes = at::empty({mask.size()}, at::kByte);
  mask.unpack(0, {bytes.data_ptr<uint8_t>(), static_cast<size_t>(mask.size())});
  return bytes.reshape(shape).to(at::kBool);
}

class Walk {
 public:
  Walk(const ModelFile& file, const CorrectionTask& task)
      : file_(file), task_(task), networks_(file, task.device == "auto" ? "cpu" : task.device, /*dense=*/true) {}

  Correction run() {
    for (const auto& [id, mask] : task_.held) mask_(id, mask);
    find_layers();
    mask_the_others();
    if (!layers_.empty()) {
      std::vector<int> pruned_pins;
      std::vector<int> dense_pins;
      for (const Layer& layer : layers_) {
        pruned_pins.insert(pruned_pins.end(), {layer.site.input_slot});
        if (layer.site.skip_slot >= 0) pruned_pins.push_back(layer.site.skip_slot);
        dense_pins.push_back(layer.site.target_slot);
      }
      networks_.start(*task_.calibration, pruned_pins, dense_pins);
      result_.samples = networks_.samples();
      if (divide_again()) networks_.start(*task_.calibration, pruned_pins, dense_pins);
      Progress progress("solving", static_cast<int64_t>(layers_.size()));
      for (Layer& layer : layers_) {
        check_interrupt();
        if (!take_from_state(layer)) solve(layer);
        progress.advance(1, layer.site.tensor.layer);
      }
    }
    if (task_.repair_statistics) repair();
    for (const int id : changed_) result_.tensors.emplace(id, values_of(id));
    return std::move(result_);
  }

 private:
  void find_layers() {
    result_.layers.resize(task_.layers.size());
    const Affected affected(networks_.pruned().plan(), pruned_tensors());
    for (size_t i = 0; i < task_.layers.size(); ++i) {
      const LayerTask& task = task_.layers[i];
      LayerCorrection& row = result_.layers[i];
      row.id = task.tensor.id;
      row.mask = task.mask;
      row.keep = task.keep;
      if (task.solver.is_text() && task.solver.text() == "none") continue;
      Layer layer{.index = i};
      layer.site = find_site(networks_.pruned(), task.tensor, row.note);
      if (!row.note.empty()) {
        if (task_.warn_unsolved) result_.warnings.push_back(fmt::format("layer \"{}\" is masked but not solved: {}", task.tensor.layer, row.note));
        continue;
      }
      layer.solver = make_solver(task.solver, task.solver_path);
      // What sees the dense network's values and keeps whole outputs needs no solver: its weights are the solution.
      const bool sees_dense = !affected.contains(layer.site.input_slot) && !affected.contains(layer.site.skip_slot);
      if (sees_dense && !layer.solver->picks_mask() && keeps_whole_rows(layer.site, task.mask)) continue;
      // In a cut, what no weight reads is zero; elsewhere a weight that is gone says nothing of its input.
      if (!task_.held.empty()) layer.site.live_inputs = live_inputs(layer.site, task.mask);
      layer.pattern = make_pattern(task.pattern, "pattern");
      layer.solver_name = plugin_name<Solver>(task.solver, task.solver_path);
      layer.pattern_name = plugin_name<Pattern>(task.pattern, "pattern");
      layers_.push_back(std::move(layer));
    }
    std::sort(layers_.begin(), layers_.end(), [](const Layer& a, const Layer& b) { return a.site.step < b.site.step; });
    // Of two layers that meet in an Add, the later one corrects the sum.
    for (Layer& layer : layers_) {
      LinearSite& site = layer.site;
      if (site.skip_slot < 0) continue;
      const std::set<size_t> before = ancestors(networks_.pruned().plan(), site.skip_slot);
      const bool waits = std::any_of(layers_.begin(), layers_.end(),
                                     [&](const Layer& other) { return other.site.step > site.step && before.contains(other.site.step); });
      if (waits || !layer.solver->target().shortcut) ignore_shortcut(site);
    }
  }

  std::set<int> pruned_tensors() const {
    std::set<int> ids;
    for (const auto& [id, mask] : task_.held) ids.insert(id);
    for (const LayerTask& task : task_.layers) {
      if (task.mask.pruned() > 0) ids.insert(task.tensor.id);
    }
    return ids;
  }

  /// Parameters of the pruned network become +0.0 outside the mask.
  void mask_(int id, const BitMask& mask) {
    for (Parameter& parameter : networks_.pruned().parameters()) {
      if (parameter.tensor_id != id) continue;
      parameter.tensor.masked_fill_(bytes_of(mask, parameter.tensor.sizes()).logical_not(), 0);
      changed_.insert(id);
    }
  }

  /// Layers that no solver takes are pruned before the walk: what comes behind them sees it.
  void mask_the_others() {
    for (size_t i = 0; i < task_.layers.size(); ++i) {
      const LayerTask& task = task_.layers[i];
      const bool solved = std::any_of(layers_.begin(), layers_.end(), [&](const Layer& layer) { return layer.index == i; });
      if (!solved && task.mask.pruned() > 0) mask_(task.tensor.id, task.mask);
    }
  }

  /// Budgets of layers that share one: from what each layer's error is at falling densities in the dense network. True if
  /// the networks have run and must start again.
  bool divide_again() {
    std::map<int, std::vector<Layer*>> shares;
    for (Layer& layer : layers_) {
      if (task_.layers[layer.index].share >= 0) shares[task_.layers[layer.index].share].push_back(&layer);
    }
    if (shares.empty()) return false;
    std::map<size_t, ErrorCurve> curves;
    Progress progress("dividing the budget", static_cast<int64_t>(layers_.size()));
    double part = 1;
    for (auto layer = layers_.rbegin(); layer != layers_.rend(); ++layer) parts_[layer->index] = 1;
    for (Layer& layer : layers_) {
      check_interrupt();
      if (task_.layers[layer.index].share >= 0) curves[layer.index] = curve_of(layer);
      leave(layer.site);
      progress.advance(1, layer.site.tensor.layer);
    }
    // An error inside a block reaches the sum behind it as much as the block's last layer does.
    for (auto layer = layers_.rbegin(); layer != layers_.rend(); ++layer) {
      if (layer->site.skip_slot >= 0) part = parts_[layer->index];
      if (!curves.contains(layer->index)) continue;
      for (double& error : curves[layer->index].errors) error *= part;
    }
    for (const auto& [share, layers] : shares) {
      std::vector<ErrorCurve> own;
      int64_t total = 0;
      for (const Layer* layer : layers) {
        own.push_back(curves[layer->index]);
        total += task_.layers[layer->index].keep;
      }
      const std::vector<int64_t> kept = divide_by_error(own, total);
      for (size_t i = 0; i < layers.size(); ++i) {
        result_.layers[layers[i]->index].keep = kept[i];
        log_verbose("{}: density {:.4f}", layers[i]->site.tensor.layer, static_cast<double>(kept[i]) / static_cast<double>(own[i].units));
      }
    }
    networks_.stop();
    return true;
  }

  ErrorCurve curve_of(const Layer& layer) {
    const LayerTask& task = task_.layers[layer.index];
    LayerFit fit(networks_, layer.site, layer.solver->target(), kCurveBatches);
    parts_[layer.index] = fit.own_part();
    LayerProblem problem = fit.problem();
    problem.pattern_name = layer.pattern_name;
    ErrorCurve curve{.units = layer.pattern->units(task.tensor), .floor = task.floor, .densities = {1}, .errors = {0}};
    at::Tensor weights = problem.weights;
    for (double density = kCurveStep; density > kLeastDensity; density *= kCurveStep) {
      const auto keep = std::max<int64_t>(1, std::llround(density * static_cast<double>(curve.units)));
      const at::Tensor scores = at::where(weights == 0, at::full_like(weights, -1), weights.abs() * problem.row_scale.unsqueeze(1));
      weights = solve_on_support(problem.hessian, problem.cross, problem.as_matrix(problem.select(*layer.pattern, scores, keep)));
      curve.densities.push_back(static_cast<double>(keep) / static_cast<double>(curve.units));
      curve.errors.push_back(std::max(curve.errors.back(), fit.relative_error(weights)));
    }
    return curve;
  }

  /// A layer that an interrupted run has solved.
  bool take_from_state(const Layer& layer) {
    if (!task_.resume || task_.state_folder.empty()) return false;
    StoredLayer stored = read_state(task_.state_folder, task_.fingerprint, layer.site.tensor.id);
    if (!stored.damage.empty()) {
      result_.warnings.push_back(fmt::format("the checkpoint \"{}\" is damaged: layer \"{}\" is solved again", stored.damage, layer.site.tensor.layer));
    }
    std::optional<LayerState>& state = stored.state;
    if (!state || state->layer.mask.size() != layer.site.tensor.count()) return false;
    for (const auto& [id, values] : state->tensors) {
      for (Parameter& parameter : networks_.pruned().parameters()) {
        if (parameter.tensor_id == id) parameter.tensor.copy_(from_host(values).tensor());
      }
      changed_.insert(id);
    }
    result_.layers[layer.index] = std::move(state->layer);
    leave(layer.site);
    return true;
  }

  void keep_state(const Layer& layer, const std::vector<int>& ids) const {
    if (task_.state_folder.empty()) return;
    LayerState state{.layer = result_.layers[layer.index]};
    for (const int id : ids) state.tensors.emplace(id, values_of(id));
    write_state(task_.state_folder, task_.fingerprint, state);
  }

  HostTensor values_of(int id) const {
    for (const Parameter& parameter : networks_.pruned().parameters()) {
      if (parameter.tensor_id == id) return to_host(Value(parameter.tensor));
    }
    invariant(false, "what was changed is a parameter");
    __builtin_unreachable();
  }

  void leave(const LinearSite& site) {
    std::vector<int> slots{site.input_slot};
    if (site.skip_slot >= 0) slots.push_back(site.skip_slot);
    networks_.drop(slots, {site.target_slot});
  }

  void repair() {
    std::set<int> pruned;
    std::vector<PrunableTensor> tensors = find_tensors(file_);
    for (const LayerTask& task : task_.layers) pruned.insert(task.tensor.id);
    networks_.stop();
    const StatisticsRepair repaired = repair_statistics_(networks_, *task_.calibration, tensors, pruned);
    changed_.insert(repaired.changed.begin(), repaired.changed.end());
    for (const std::string& warning : repaired.warnings) result_.warnings.push_back(warning);
    result_.samples = repaired.samples;
  }

  void solve(Layer& layer) {
    const auto start = std::chrono::steady_clock::now();
    const LayerTask& task = task_.layers[layer.index];
    LayerCorrection& row = result_.layers[layer.index];
    try {
      LayerFit fit(networks_, layer.site, layer.solver->target());
      LayerProblem problem = fit.problem();
      problem.pattern = layer.pattern.get();
      problem.pattern_name = layer.pattern_name;
      problem.keep = row.keep;
      problem.mask = task.mask;
      row.error_before = fit.relative_error(problem.weights * problem.as_matrix(task.mask));
      LayerSolution solution = checked_solution(*layer.solver, layer.solver_name, problem);
      row.error = fit.relative_error(solution.weights);
      row.mask = std::move(solution.mask);
      const std::vector<int> written = fit.write_(solution.weights);
      changed_.insert(written.begin(), written.end());
      for (const int id : written) {  // the bias of a removed output is no bias
        if (const auto held = task_.held.find(id); held != task_.held.end()) mask_(id, held->second);
      }
      row.seconds = seconds_since(start);
      keep_state(layer, written);
    } catch (Error& error) {
      error.add_context(fmt::format("while solving \"{}\"", task.tensor.layer));
      throw;
    }
    leave(layer.site);
    log_verbose("{}: relative error {:.4f} -> {:.4f}, {:.2f} s", task.tensor.layer, row.error_before.value_or(0), row.error.value_or(0), row.seconds);
  }

  const ModelFile& file_;
  const CorrectionTask& task_;
  NetworkPair networks_;
  std::vector<Layer> layers_;
  std::map<size_t, double> parts_;  ///< by index of the task: LayerFit::own_part
  std::set<int> changed_;
  Correction result_;
};

class Engine final : public CorrectionEngine {
 public:
  explicit Engine(const Options&) {}

  Correction correct(const ModelFile& file, const CorrectionTask& task) const override {
    const c10::InferenceMode inference;
    if (task.threads > 0) at::set_num_threads(static_cast<int>(task.threads));
    return Walk(file, task).run();
  }
};

const Register<CorrectionEngine, Engine> entry{"layerwise", "the dense and the pruned network side by side, layer by layer"};

}  // namespace
}  // namespace sparsify
