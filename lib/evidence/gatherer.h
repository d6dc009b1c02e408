#pragma once

#include <functional>
#include <string>
#include <vector>

#include "data/loader.h"
#include "evidence/collector.h"
#include "evidence/loss.h"
#include "evidence/model_weights.h"
#include "program/program.h"

namespace sparsify {

/// One batch of a pass, with the forward run that all gatherers share.
struct Forward {
  const Batch& batch;
  const std::vector<Value>& inputs;
  const RunResult& result;   ///< with the taps that were asked for; recorded for backward if any gatherer differentiates
  Program& program;
  ModelWeights& weights;
  const Loss& loss;
  int64_t index = 0;         ///< of the batch in its pass
  bool bfloat16 = false;     ///< as RunOptions::bfloat16

  /// [count] one loss a real sample.
  at::Tensor sample_losses() const { return loss.of(result, batch); }
};

/// Collects one family of evidence: looks at every batch, then writes what it found.
class Gatherer {
 public:
  virtual ~Gatherer() = default;

  /// Values that must be handed out with the outputs.
  virtual std::vector<std::string> taps() const { return {}; }
  virtual bool differentiates() const { return false; }
  /// Whether see() looks at Forward::result at all.
  virtual bool wants_forward() const { return true; }
  virtual int passes() const { return 1; }

  virtual void see(int pass, const Forward& forward) = 0;
  virtual void finish(std::vector<LayerEvidence>& layers) = 0;
};

/// What the gatherers are made from.
struct GatherTask {
  const CollectorTask* task = nullptr;
  const std::vector<LayerSurroundings>* surroundings = nullptr;
  int64_t samples = 0;         ///< of one pass
  int64_t gradients = 0;       ///< of one pass, at EvidenceOptions::samples_a_gradient
  bool free_batch = true;      ///< the model takes batches of any size
  bool check_flow = true;      ///< SynFlow: whether the network grows in proportion to its input is still to be checked
  std::vector<std::string>* warnings = nullptr;

  size_t size() const { return task->layers.size(); }
  const PrunableTensor& layer(size_t i) const { return task->layers[i]; }
  bool wants(size_t i, Evidence kind) const { return needs(task->kinds[i], kind); }
  bool any_wants(Evidence kind) const;
};

std::unique_ptr<Gatherer> gather_input_squares(const GatherTask& task);
std::unique_ptr<Gatherer> gather_activations(const GatherTask& task);
std::unique_ptr<Gatherer> gather_first_order(const GatherTask& task);
std::unique_ptr<Gatherer> gather_sample_gradients(const GatherTask& task);
std::unique_ptr<Gatherer> gather_hessian_diagonal(const GatherTask& task);
std::unique_ptr<Gatherer> gather_gradient_flow(const GatherTask& task);

/// Fills LayerEvidence::synaptic_flow: no data, one run in float64.
void collect_synaptic_flow(const GatherTask& task, Program& program, ModelWeights& weights, std::vector<LayerEvidence>& layers);

/// LayerEvidence::missing of a layer that the loss does not depend on differentiably.
inline constexpr const char* kNoGradient = "no gradient reaches it: a node behind it is not differentiable, or the loss does not depend on it";

/// A tensor as doubles in host memory.
std::vector<double> to_doubles(const at::Tensor& tensor);

/// The first `count` rows where axis 0 counts the samples of the batch; else all of `value`.
at::Tensor real_samples(const at::Tensor& value, const Batch& batch);

}  // namespace sparsify
