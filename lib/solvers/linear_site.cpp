#include "solvers/linear_site.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/sqrt.h>
#include <ATen/ops/zeros.h>
#include <fmt/core.h>

#include <algorithm>
#include <set>

#include "base/log.h"

namespace sparsify {
namespace {

struct Reader {
  size_t step;
  size_t position;
};

/// The float types of ONNX that a constant may be cast to.
const std::map<int64_t, at::ScalarType> kCasts = {{1, at::kFloat}, {10, at::kHalf}, {11, at::kDouble}, {16, at::kBFloat16}};

/// Uses of slots in one plan.
class Uses {
 public:
  Uses(const Program& program) : program_(program), plan_(program.plan()), readers_(plan_.slot_names.size()) {
    for (size_t i = 0; i < plan_.steps.size(); ++i) {
      const Step& step = plan_.steps[i];
      for (size_t k = 0; k < step.inputs.size(); ++k) {
        if (step.inputs[k].index >= 0) readers_[static_cast<size_t>(step.inputs[k].index)].push_back({i, k});
      }
      for (const SlotRef ref : step.captured) {
        if (ref.depth == 0 && ref.index >= 0) hidden_.insert(ref.index);
      }
    }
    for (const SlotRef ref : plan_.outputs) hidden_.insert(ref.index);
    for (size_t i = 0; i < plan_.steps.size(); ++i) {
      for (const int slot : plan_.steps[i].outputs) {
        if (slot >= 0) producers_.emplace(slot, i);
      }
    }
    for (const auto& [slot, tensor] : plan_.stored) {
      stored_.emplace(slot, tensor);
      ++slots_of_[tensor.id];
    }
  }

  const std::vector<Reader>& readers(int slot) const { return readers_[static_cast<size_t>(slot)]; }
  /// Read by an output of the graph or inside a subgraph.
  bool is_hidden(int slot) const { return hidden_.contains(slot); }
  /// The tensor of the file behind a value, seen through Identity and Cast; null for anything else.
  const StoredTensor* stored(SlotRef ref) const {
    const std::vector<int> slots = way_to_file(ref);
    return slots.empty() ? nullptr : &stored_.at(slots.back());
  }
  /// The only use of that tensor in the model is this one.
  bool is_exclusive(SlotRef ref) const {
    const std::vector<int> slots = way_to_file(ref);
    if (slots.empty() || slots_of_.at(stored_.at(slots.back()).id) != 1) return false;
    return std::all_of(slots.begin(), slots.end(), [&](int slot) { return !is_hidden(slot) && readers(slot).size() == 1; });
  }
  std::vector<int> slots_of(int id) const {
    std::vector<int> slots;
    for (const auto& [slot, tensor] : stored_) {
      if (tensor.id == id) slots.push_back(slot);
    }
    return slots;
  }
  /// The value of a stored float tensor as it is now, [n] float64; undefined if it is no such tensor.
  at::Tensor constant(SlotRef ref) const {
    const StoredTensor* tensor = stored(ref);
    if (tensor == nullptr) return {};
    if (values_.empty()) values_ = program_.stored_values();
    const auto found = values_.find(tensor->id);
    if (found == values_.end() || !found->second.is_tensor() || !found->second.tensor().is_floating_point()) return {};
    at::Tensor value = found->second.tensor().to(at::kCPU);
    const std::vector<int> slots = way_to_file(ref);
    for (auto slot = slots.rbegin() + 1; slot != slots.rend(); ++slot) {
      const Node& node = *plan_.steps[producers_.at(*slot)].node;
      if (node.op_type == "Cast") value = value.to(kCasts.at(node.integer("to", 0)));
    }
    return value.to(at::kDouble);
  }
  const Plan& plan() const { return plan_; }
  /// `computed by Reshape`, or `an input of the model`.
  std::string origin(SlotRef ref) const {
    const auto made = ref.depth == 0 ? producers_.find(ref.index) : producers_.end();
    return made == producers_.end() ? "an input of the model" : "computed by " + plan_.steps[made->second].node->op_type;
  }

 private:
  /// From a value to the tensor of the file that it is, through Identity and Cast between floats; empty if it is none.
  std::vector<int> way_to_file(SlotRef ref) const {
    if (ref.depth != 0) return {};
    std::vector<int> slots{ref.index};
    while (!stored_.contains(slots.back())) {
      const auto made = producers_.find(slots.back());
      if (made == producers_.end()) return {};
      const Step& step = plan_.steps[made->second];
      const bool passes = step.node->domain.empty() && (step.node->op_type == "Identity" || (step.node->op_type == "Cast" && kCasts.contains(step.node->integer("to", 0))));
      if (!passes || step.inputs.size() != 1 || step.inputs.front().depth != 0) return {};
      slots.push_back(step.inputs.front().index);
    }
    return slots;
  }

  const Program& program_;
  const Plan& plan_;
  std::vector<std::vector<Reader>> readers_;
  std::set<int> hidden_;
  std::map<int, size_t> producers_;  ///< by slot
  std::map<int, StoredTensor> stored_;
  std::map<int, int> slots_of_;
  mutable std::map<int, Value> values_;
};

bool is_view(const Node& node) {
  static const std::set<std::string> names = {"Identity", "Cast", "Transpose", "Reshape", "Squeeze", "Unsqueeze", "Flatten"};
  return node.domain.empty() && names.contains(node.op_type);
}

/// The uses of a weight behind Identity, Cast, Transpose and their like.
std::vector<Reader> uses_of(const Uses& uses, int id, bool& hidden) {
  std::vector<Reader> found;
  std::vector<int> open = uses.slots_of(id);
  hidden = open.empty();
  while (!open.empty()) {
    const int slot = open.back();
    open.pop_back();
    hidden = hidden || uses.is_hidden(slot);
    for (const Reader reader : uses.readers(slot)) {
      const Step& step = uses.plan().steps[reader.step];
      if (is_view(*step.node) && reader.position == 0) {
        open.push_back(step.outputs.front());
      } else {
        found.push_back(reader);
      }
    }
  }
  return found;
}

/// [O] of a constant that is broadcast over the output of the layer; undefined when it is not one number a channel.
at::Tensor per_channel(const at::Tensor& constant, int64_t rows, bool channels_last) {
  if (constant.numel() == 1) return constant.reshape({1}).expand({rows});
  if (constant.numel() != rows) return {};
  if (channels_last) return constant.dim() >= 1 && constant.size(-1) == rows ? constant.reshape({rows}) : at::Tensor();
  for (int64_t axis = 0; axis < constant.dim(); ++axis) {
    if (constant.size(axis) == rows && axis != 1 && !(axis == 0 && constant.dim() > 1)) return {};
  }
  return constant.dim() >= 3 ? constant.reshape({rows}) : at::Tensor();
}

/// Walks from z to the next non-linearity.
class Follower {
 public:
  Follower(const Uses& uses, LinearSite& site, int output_slot) : uses_(uses), site_(site), slot_(output_slot) {}

  void follow() {
    while (step_once()) {
    }
    site_.target_slot = slot_;
    if (const Reader* reader = only_reader()) {
      const Node& node = *uses_.plan().steps[reader->step].node;
      site_.relu = node.domain.empty() && node.op_type == "Relu";
    }
  }

 private:
  const Reader* only_reader() const {
    if (uses_.is_hidden(slot_) || uses_.readers(slot_).size() != 1) return nullptr;
    return &uses_.readers(slot_).front();
  }

  bool step_once() {
    const Reader* reader = only_reader();
    if (reader == nullptr) return false;
    const Step& step = uses_.plan().steps[reader->step];
    const Node& node = *step.node;
    if (!node.domain.empty() || site_.skip_slot >= 0) return false;
    if (node.op_type == "BatchNormalization") return reader->position == 0 && batch_norm(step);
    if (node.op_type == "Identity" || node.op_type == "Dropout") return reader->position == 0 && advance(step);
    if (node.op_type == "Add") return add(step, *reader);
    return false;
  }

  bool advance(const Step& step) {
    slot_ = step.outputs.front();
    return true;
  }

  bool batch_norm(const Step& step) {
    if (step.inputs.size() < 5 || step.node->integer("training_mode", 0) != 0 || channels_last()) return false;
    at::Tensor constants[4];
    for (size_t i = 0; i < 4; ++i) {
      constants[i] = uses_.constant(step.inputs[i + 1]);
      if (!constants[i].defined() || constants[i].numel() != site_.rows) return false;
    }
    if (!normalised_ && uses_.is_exclusive(step.inputs[3]) && uses_.is_exclusive(step.inputs[4])) {
      site_.mean_id = uses_.stored(step.inputs[3])->id;
      site_.variance_id = uses_.stored(step.inputs[4])->id;
      site_.norm_shift = site_.shift;
    }
    normalised_ = true;
    const double epsilon = static_cast<double>(step.node->number("epsilon", 1e-5F));
    const at::Tensor factor = constants[0] / at::sqrt(constants[3] + epsilon);
    site_.scale = site_.scale * factor;
    site_.shift = (site_.shift - constants[2]) * factor + constants[1];
    for (AddedConstant& constant : site_.constants) constant.scale = constant.scale * factor;
    remember(step.inputs[2], at::ones({site_.rows}, at::kDouble));
    return advance(step);
  }

  bool add(const Step& step, const Reader& reader) {
    const SlotRef other = step.inputs[1 - reader.position];
    if (other.depth != 0 || other.index == slot_) return false;
    const at::Tensor constant = uses_.constant(other);
    if (!constant.defined()) {
      site_.skip_slot = other.index;
      site_.unadded_slot = slot_;
      return advance(step);
    }
    const at::Tensor channels = per_channel(constant, site_.rows, channels_last());
    if (!channels.defined()) return false;
    site_.shift = site_.shift + channels;
    if (constant.numel() == site_.rows) remember(other, at::ones({site_.rows}, at::kDouble));
    return advance(step);
  }

  void remember(SlotRef ref, at::Tensor scale) {
    if (uses_.is_exclusive(ref)) site_.constants.push_back({.id = uses_.stored(ref)->id, .scale = std::move(scale)});
  }

  bool channels_last() const { return site_.kind == LinearSite::Kind::Product && !site_.weight_on_left; }

  const Uses& uses_;
  LinearSite& site_;
  int slot_;
  bool normalised_ = false;
};

/// [1, 10, 6] is the one matrix [10, 6].
void drop_leading_ones(PrunableTensor& tensor) {
  while (tensor.shape.size() > 2 && tensor.shape.front() == 1 && tensor.output_axis != 0 && tensor.input_axis != 0) {
    tensor.shape.erase(tensor.shape.begin());
    if (tensor.output_axis > 0) --tensor.output_axis;
    if (tensor.input_axis > 0) --tensor.input_axis;
  }
}

/// A bias of the node itself: one number for all, or one for each output.
bool is_one_an_output(const at::Tensor& bias, const LinearSite& site) {
  if (bias.numel() == 1) return true;
  if (bias.numel() != site.rows) return false;
  return site.weight_on_left ? bias.dim() == 2 && bias.size(0) == site.rows : bias.size(-1) == site.rows;
}

}  // namespace

LinearSite find_site(const Program& program, const PrunableTensor& tensor, std::string& reason) {
  reason.clear();
  LinearSite site;
  site.tensor = tensor;
  const auto refuse = [&](std::string why) {
    reason = std::move(why);
    return site;
  };
  if (tensor.scale_id >= 0) return refuse("quantised weights keep their values");
  const Uses uses(program);
  bool hidden = false;
  const std::vector<Reader> readers = uses_of(uses, tensor.id, hidden);
  if (hidden || tensor.nested) return refuse("used inside a subgraph, or an output of the graph");
  if (readers.size() != 1) return refuse(fmt::format("used by {} nodes", readers.size()));
  const Reader reader = readers.front();
  const Step& step = program.plan().steps[reader.step];
  const Node& node = *step.node;
  const std::string& op = node.op_type;
  const int64_t groups = node.integer("group", 1);
  site.step = reader.step;
  if (op == "Conv" && node.domain.empty() && reader.position == 1) {
    if (tensor.shape.size() < 3 || tensor.output_axis != 0 || tensor.input_axis != 1) return refuse("a convolution weight stored transposed");
    site.kind = LinearSite::Kind::Conv;
    site.groups = groups;
    site.rows = tensor.shape[0];
    site.columns = tensor.count() / site.rows;
  } else if (op == "ConvTranspose" && node.domain.empty() && reader.position == 1) {
    if (tensor.shape.size() < 3 || tensor.output_axis != 1) return refuse("a convolution weight stored transposed");
    site.kind = LinearSite::Kind::ConvTranspose;
    site.groups = groups;
    site.rows = tensor.shape[1] * groups;
    site.columns = tensor.count() / site.rows;
  } else if ((op == "Gemm" || op == "MatMul") && node.domain.empty() && reader.position <= 1) {
    drop_leading_ones(site.tensor);
    const PrunableTensor& matrix = site.tensor;
    if (matrix.shape.size() != 2 || matrix.output_axis < 0 || matrix.input_axis < 0) return refuse("a product with more than one weight matrix");
    site.weight_on_left = reader.position == 0;
    site.rows = matrix.shape[static_cast<size_t>(matrix.output_axis)];
    site.columns = matrix.shape[static_cast<size_t>(matrix.input_axis)];
    if (op == "Gemm") {
      site.alpha = static_cast<double>(node.number("alpha", 1.0F));
      site.transposed_input = node.integer(site.weight_on_left ? "transB" : "transA", 0) != 0;
    }
  } else {
    return refuse(fmt::format("{} is not a layer that can be solved", op));
  }
  const SlotRef input = step.inputs[site.kind == LinearSite::Kind::Product ? 1 - reader.position : 0];
  if (input.index < 0 || input.depth != 0 || uses.constant(input).defined()) return refuse("no input that depends on data");
  site.input_slot = input.index;
  site.scale = at::ones({site.rows}, at::kDouble);
  site.shift = at::zeros({site.rows}, at::kDouble);
  const double beta = op == "Gemm" ? static_cast<double>(node.number("beta", 1.0F)) : 1.0;
  if (step.inputs.size() > 2 && step.inputs[2].index >= 0 && beta != 0) {
    const at::Tensor bias = uses.constant(step.inputs[2]);
    if (!bias.defined() || !is_one_an_output(bias, site)) {
      site.adds_unknown = true;
      site.target_slot = step.outputs.front();
      log_verbose("{}: its bias ({}) is not one number an output: the weights are solved by themselves", tensor.layer,
                  bias.defined() ? to_text(Shape(bias.sizes().vec())) : uses.origin(step.inputs[2]));
      return site;
    }
    site.shift = (bias * beta).reshape({-1}).expand({site.rows}).clone();
    if (bias.numel() == site.rows && uses.is_exclusive(step.inputs[2])) {
      site.constants.push_back({.id = uses.stored(step.inputs[2])->id, .scale = at::full({site.rows}, beta, at::kDouble)});
    }
  }
  Follower(uses, site, step.outputs.front()).follow();
  return site;
}

void ignore_shortcut(LinearSite& site) {
  if (site.skip_slot < 0) return;
  site.target_slot = site.unadded_slot;
  site.skip_slot = -1;
  site.relu = false;
}

std::set<size_t> ancestors(const Plan& plan, int slot) {
  std::map<int, size_t> producer;
  for (size_t i = 0; i < plan.steps.size(); ++i) {
    for (const int output : plan.steps[i].outputs) producer[output] = i;
  }
  std::set<size_t> found;
  std::vector<int> open{slot};
  while (!open.empty()) {
    const auto made = producer.find(open.back());
    open.pop_back();
    if (made == producer.end() || !found.insert(made->second).second) continue;
    const Step& step = plan.steps[made->second];
    for (const std::vector<SlotRef>* refs : {&step.inputs, &step.captured}) {
      for (const SlotRef ref : *refs) {
        if (ref.depth == 0 && ref.index >= 0) open.push_back(ref.index);
      }
    }
  }
  return found;
}

at::Tensor to_matrix(const LinearSite& site, const at::Tensor& stored) {
  const at::Tensor wide = stored.to(at::kCPU, at::kDouble);
  if (site.kind == LinearSite::Kind::Conv) return wide.reshape({site.rows, site.columns});
  if (site.kind == LinearSite::Kind::ConvTranspose) {  // [C, O/g, kernel]: C runs over the groups
    const int64_t inputs = wide.size(0) / site.groups;
    return wide.reshape({site.groups, inputs, site.rows / site.groups, -1}).permute({0, 2, 1, 3}).reshape({site.rows, site.columns});
  }
  const at::Tensor matrix = wide.reshape(at::IntArrayRef(site.tensor.shape));  // without leading ones
  return site.tensor.output_axis == 0 ? matrix.contiguous() : matrix.t().contiguous();
}

at::Tensor from_matrix(const LinearSite& site, const at::Tensor& matrix) {
  const at::IntArrayRef shape(site.tensor.shape);
  if (site.kind == LinearSite::Kind::Conv) return matrix.reshape(shape).contiguous();
  if (site.kind == LinearSite::Kind::ConvTranspose) {
    const int64_t inputs = site.tensor.shape[0] / site.groups;
    return matrix.reshape({site.groups, site.rows / site.groups, inputs, -1}).permute({0, 2, 1, 3}).reshape(shape).contiguous();
  }
  return (site.tensor.output_axis == 0 ? matrix : matrix.t()).contiguous();
}

}  // namespace sparsify
