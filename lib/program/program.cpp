#include "program/program.h"

#include <ATen/Context.h>
#include <ATen/core/grad_mode.h>
#include <c10/core/InferenceMode.h>
#include <fmt/core.h>

#include <algorithm>
#include <optional>
#include <set>
#include <unordered_map>

#include "base/error.h"
#include "program/batch_norm.h"
#include "program/bfloat16.h"
#include "program/executor.h"
#include "program/gradient_cuts.h"
#include "program/memory.h"
#include "program/overwrite.h"
#include "program/plan.h"
#include "program/schedule.h"

namespace sparsify {
namespace {

/// A parameter's tensor as the last run saw it.
struct Seen {
  const c10::TensorImpl* tensor = nullptr;
  uint32_t version = 0;  ///< counts what LibTorch's operators wrote into it
};

Seen seen(const at::Tensor& tensor) {
  return {tensor.unsafeGetTensorImpl(), tensor.is_inference() ? 0 : static_cast<uint32_t>(tensor._version())};
}

struct Prepared {
  Schedule schedule;
  bool has_parameters = false;  ///< values of parameters are folded in
};

/// Larger constants are computed again instead of being kept: they may be broadcasts of the size of an activation.
constexpr int64_t kLargestFolded = int64_t{1} << 22;

void collect_stored(const Plan& plan, std::vector<StoredTensor>& out) {
  const auto add = [&out](const StoredTensor& tensor) {
    if (tensor.value == nullptr) out.push_back(tensor);  // constants of schema functions are in no file
  };
  for (const auto& [slot, tensor] : plan.stored) add(tensor);
  for (const Step& step : plan.steps) {
    for (const Attribute& attribute : step.node->attributes) {
      if (const auto* tensor = std::get_if<StoredTensor>(&attribute.value)) add(*tensor);
    }
    for (const auto& [name, subplan] : step.subplans) collect_stored(*subplan, out);
  }
}

/// Tensors that BatchNormalizations keep as running mean and variance, by id.
std::set<int> statistics_of(const Plan& plan) {
  std::set<int> slots;
  std::set<int> ids;
  for (const Step& step : plan.steps) {
    if (step.node->domain.empty() && step.node->op_type == "BatchNormalization") {
      for (size_t i = 3; i < step.inputs.size(); ++i) slots.insert(step.inputs[i].depth == 0 ? step.inputs[i].index : -1);
    }
    for (const auto& [name, subplan] : step.subplans) ids.merge(statistics_of(*subplan));
  }
  for (const auto& [slot, tensor] : plan.stored) {
    if (slots.contains(slot)) ids.insert(tensor.id);
  }
  return ids;
}

bool is_deterministic(const Step& step) {
  return step.op->deterministic && std::all_of(step.subplans.begin(), step.subplans.end(), [](const auto& entry) {
           const std::vector<Step>& steps = entry.second->steps;
           return std::all_of(steps.begin(), steps.end(), is_deterministic);
         });
}

at::Device device_named(const std::string& name) {
  try {
    const at::Device device(name);
    if (device.is_cuda() && !at::hasCUDA()) throw c10::Error({__func__, __FILE__, __LINE__}, "no CUDA device");
    return device;
  } catch (const c10::Error& e) {
    throw ResourceError{{.what = fmt::format("device \"{}\" cannot be used: {}", name, e.what_without_backtrace()),
                         .where = "device",
                         .fix = "use cpu, or cuda on a machine and a LibTorch that have it"}};
  }
}

}  // namespace

struct Program::Impl {
  explicit Impl(const ModelFile& model_file) : file(&model_file), plan(make_plan(model_file)) {}

  const ModelFile* file;
  std::unique_ptr<Plan> plan;
  at::Device device = at::kCPU;
  std::vector<Parameter> parameters;
  std::unordered_map<std::string, size_t> parameter_by_name;
  std::map<int, Value> stored;  ///< by tensor id; of parameters what the last run used
  std::vector<Seen> seen_parameters;
  std::map<std::string, Prepared> prepared;  ///< by signature
  std::unordered_map<std::string, int> slot_by_name;

  void load(const ProgramOptions& options);
  std::map<int, Value> stored_values() const;
  std::string signature(const std::vector<Value>& inputs, const RunOptions& options) const;
  void check_inputs(const std::vector<Value>& inputs, bool float64) const;
  void check_outputs(const Frame& frame, bool float64) const;
  RunResult run(const std::vector<Value>& inputs, const RunOptions& options);
  void notice_changes();
  Learned learn(Executor& executor, Frame& frame, const std::vector<bool>& keep, bool parameters_static, bool overwrites) const;
};

std::unique_ptr<Program> Program::build(const ModelFile& file, const ProgramOptions& options) {
  pool_tensor_memory();
  auto impl = std::make_unique<Impl>(file);
  impl->load(options);
  return std::unique_ptr<Program>(new Program(std::move(impl)));
}

Program::Program(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Program::~Program() {
  impl_.reset();
  release_tensor_memory();
}

const std::vector<ValueInfo>& Program::inputs() const { return impl_->file->model().graph.inputs; }
const std::vector<ValueInfo>& Program::outputs() const { return impl_->file->model().graph.outputs; }
std::vector<Parameter>& Program::parameters() { return impl_->parameters; }
void Program::parameters_changed() { impl_->prepared.clear(); }
const Plan& Program::plan() const { return *impl_->plan; }
const ModelFile& Program::file() const { return *impl_->file; }
at::Device Program::device() const { return impl_->device; }
std::map<int, Value> Program::stored_values() const { return impl_->stored_values(); }
void Program::check_inputs(const std::vector<Value>& inputs) const { impl_->check_inputs(inputs, false); }

void Program::replace_stored(int tensor_id, const Value& value) {
  const auto known = impl_->stored.find(tensor_id);
  invariant(known != impl_->stored.end() && known->second.type() == value.type(), "a stored tensor is replaced by one of its type");
  const bool moves = value.is_tensor() && value.tensor().is_floating_point();
  known->second = moves ? Value(value.tensor().to(impl_->device), value.type()) : value;
  for (Parameter& parameter : impl_->parameters) {
    if (parameter.tensor_id == tensor_id) parameter.tensor = known->second.tensor();
  }
  parameters_changed();
}

Parameter* Program::find_parameter(const std::string& name) {
  const auto found = impl_->parameter_by_name.find(name);
  return found == impl_->parameter_by_name.end() ? nullptr : &impl_->parameters[found->second];
}

RunResult Program::run(const std::vector<Value>& inputs, const RunOptions& options) {
  if (options.gradients) {
    const at::AutoGradMode record(true);
    return impl_->run(inputs, options);
  }
  const c10::InferenceMode inference;
  return impl_->run(inputs, options);
}

void Program::Impl::load(const ProgramOptions& options) {
  device = device_named(options.device);
  std::vector<StoredTensor> tensors;
  collect_stored(*plan, tensors);
  std::sort(tensors.begin(), tensors.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  for (const StoredTensor& tensor : tensors) {
    if (stored.contains(tensor.id)) continue;
    Value value = from_host(file->tensor_data(tensor.id));
    file->release_tensor_data(tensor.id);  // the program has a copy of its own
    if (value.is_tensor() && value.tensor().is_floating_point()) {
      value = Value(value.tensor().to(device), value.type());
      if (is_prunable_float(tensor.type)) {
        parameter_by_name.emplace(tensor.name, parameters.size());
        parameters.push_back({tensor.name, tensor.id, value.tensor()});
      }
    }
    stored.emplace(tensor.id, std::move(value));
  }
  for (const int id : statistics_of(*plan)) {
    const auto known = std::find_if(parameters.begin(), parameters.end(), [id](const Parameter& one) { return one.tensor_id == id; });
    if (known != parameters.end()) known->is_statistic = true;
  }
  for (size_t slot = 0; slot < plan->slot_names.size(); ++slot) {
    slot_by_name.emplace(plan->slot_names[slot], static_cast<int>(slot));
  }
}

/// Parameters may have been replaced since the last run.
std::map<int, Value> Program::Impl::stored_values() const {
  std::map<int, Value> values = stored;
  for (const Parameter& parameter : parameters) values[parameter.tensor_id] = Value(parameter.tensor);
  return values;
}

/// Parameters may have been replaced or written into since the last run.
void Program::Impl::notice_changes() {
  seen_parameters.resize(parameters.size());
  bool changed = false;
  for (size_t i = 0; i < parameters.size(); ++i) {
    const Seen now = seen(parameters[i].tensor);
    Seen& before = seen_parameters[i];
    if (now.tensor == before.tensor && now.version == before.version) continue;
    if (now.tensor != before.tensor) stored[parameters[i].tensor_id] = Value(parameters[i].tensor);
    before = now;
    changed = true;
  }
  if (changed) std::erase_if(prepared, [](const auto& entry) { return entry.second.has_parameters; });
}

std::string Program::Impl::signature(const std::vector<Value>& inputs, const RunOptions& options) const {
  std::string text = options.gradients ? "g" : options.training ? "t" : "i";
  if (options.bfloat16) text += "+bf16";
  if (!options.optimise) text += "+plain";
  for (const std::string& tap : options.taps) text += "+" + tap;  // what a tap sees is neither folded nor fused away
  for (const Value& input : inputs) text += ";" + input.describe();
  return text;
}

void Program::Impl::check_inputs(const std::vector<Value>& inputs, bool float64) const {
  const std::vector<ValueInfo>& wanted = file->model().graph.inputs;
  if (inputs.size() != wanted.size()) {
    throw ShapeError{{.what = fmt::format("the model takes {} inputs, {} are given", wanted.size(), inputs.size()),
                      .where = file->path(),
                      .fix = "give one value for each graph input (`sparsify inspect` lists them)"}};
  }
  std::map<std::string, std::pair<int64_t, std::string>> symbols;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const ValueInfo& want = wanted[i];
    const Value& have = inputs[i];
    if (want.kind != ValueInfo::Kind::Tensor || have.is_sequence() || have.empty()) continue;
    const auto refuse = [&](const std::string& what) {
      throw ShapeError{{.what = fmt::format("input \"{}\" is {}, but the model wants {}{}", want.name, have.describe(),
                                            want.signature(), what),
                        .where = file->path(),
                        .fix = "give data of that type and shape (layout, resize, channels)"}};
    };
    const bool widened = float64 && is_prunable_float(want.type) && have.type() == DType::Float64;
    if (want.type != DType::Undefined && have.type() != want.type && !widened) refuse("");
    if (!want.shape || !have.is_tensor()) continue;
    const auto sizes = have.tensor().sizes();
    if (sizes.size() != want.shape->size()) refuse("");
    for (size_t axis = 0; axis < sizes.size(); ++axis) {
      const Dimension& dimension = (*want.shape)[axis];
      if (dimension.size >= 0 && dimension.size != sizes[axis]) refuse("");
      if (dimension.symbol.empty()) continue;
      const auto [entry, fresh] = symbols.try_emplace(dimension.symbol, sizes[axis], want.name);
      if (!fresh && entry->second.first != sizes[axis]) {
        refuse(fmt::format(" with \"{}\" = {} as in input \"{}\"", dimension.symbol, entry->second.first, entry->second.second));
      }
    }
  }
}

/// A declared type that no run gives would be believed by whatever reads the file next.
void Program::Impl::check_outputs(const Frame& frame, bool float64) const {
  const std::vector<ValueInfo>& declared = file->model().graph.outputs;
  for (size_t i = 0; i < declared.size(); ++i) {
    const ValueInfo& want = declared[i];
    const Value& have = frame.at(plan->outputs[i]);
    if (want.kind != ValueInfo::Kind::Tensor || want.type == DType::Undefined || !(have.is_tensor() || have.is_strings()) || have.type() == want.type) continue;
    if (float64 && is_prunable_float(want.type) && have.type() == DType::Float64) continue;
    throw ShapeError{{.what = fmt::format("output \"{}\" is declared as {}, but the graph gives {}", want.name, want.signature(), have.describe()),
                      .where = file->path(),
                      .fix = "correct the declared type, or export the model again"}};
  }
}

RunResult Program::Impl::run(const std::vector<Value>& inputs, const RunOptions& options) {
  check_inputs(inputs, options.float64);
  notice_changes();
  const BatchShareGuard shared(options.share);
  std::map<int, Value> with_copies;  // of the statistics that this run may not move
  if (options.training && !options.update_statistics) {
    with_copies = stored;
    for (const Parameter& parameter : parameters) {
      if (parameter.is_statistic) with_copies[parameter.tensor_id] = Value(parameter.tensor.detach().clone());
    }
  }
  const bool inference = !options.gradients && !options.training;
  const bool channels_last = (!inference || options.bfloat16) && options.optimise && device.is_cpu();
  std::vector<bool> keep(options.taps.empty() ? 0 : plan->slot_names.size());
  for (const std::string& tap : options.taps) {
    const auto found = slot_by_name.find(tap);
    if (found == slot_by_name.end()) {
      throw ResourceError{{.what = fmt::format("no value is named \"{}\"", tap),
                           .where = file->path(),
                           .fix = "name a value of the main graph (`sparsify inspect`)"}};
    }
    keep[static_cast<size_t>(found->second)] = true;
  }
  std::vector<bool> handed_out = keep;
  handed_out.resize(plan->slot_names.size());
  for (const SlotRef ref : plan->outputs) {
    if (ref.depth == 0 && ref.index >= 0) handed_out[static_cast<size_t>(ref.index)] = true;
  }
  const RunContext context{file,          with_copies.empty() ? &stored : &with_copies, device, options.training, options.seed,
                           options.bfloat16, channels_last, options.after.empty() ? nullptr : &options.after, &handed_out};
  Frame frame{plan.get(), nullptr, std::vector<Value>(plan->slot_names.size())};
  Executor executor(context, frame);
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Value& given = inputs[i];
    const bool moves = given.is_tensor() && given.tensor().is_floating_point();
    frame.slots[static_cast<size_t>(plan->inputs[i])] =
        moves ? Value(given.tensor().to(device), given.type()) : given;
  }
  const std::string key = signature(inputs, options);
  const auto known = prepared.find(key);
  const bool reordered = channels_last || (known != prepared.end() && known->second.schedule.reorders_layouts);
  if (known != prepared.end()) {
    executor.run(known->second.schedule);
  } else {
    executor.load_constants();
    const bool optimises = inference && options.optimise && device.is_cpu() && (!options.bfloat16 || multiplies_bfloat16(device));
    Learned learned = learn(executor, frame, keep, inference, optimises);
    Prepared fresh{make_schedule(*plan, learned), inference};
    if (optimises) {
      std::vector<Value> values;
      for (const auto& [slot, tensor] : plan->stored) values.push_back(tensor.value == nullptr ? stored.at(tensor.id) : Value());
      fuse(fresh.schedule, *plan, learned, values, keep, options.bfloat16);
    }
    finish(fresh.schedule, *plan, learned, keep);
    if (optimises && !options.bfloat16) overwrite_inputs(fresh.schedule, learned);
    check_outputs(frame, options.float64);
    prepared.emplace(key, std::move(fresh));
  }
  const auto outwards = [reordered](const Value& value) {
    const Value full = widened(value);
    return reordered && full.is_tensor() ? Value(full.tensor().contiguous(), full.type()) : full;
  };
  RunResult result;
  for (const SlotRef ref : plan->outputs) result.outputs.push_back(outwards(frame.at(ref)));
  for (const std::string& tap : options.taps) {
    const Value& value = frame.slots[static_cast<size_t>(slot_by_name.at(tap))];
    result.taps.emplace(tap, options.gradients ? value : outwards(value));  // a copy would lie beside the way to the loss
  }
  return result;
}

/// Runs every step and follows what is known about each slot: a shape is static when the shapes of the inputs are and
/// the values that decide it are; a value is static when all inputs are, and Shape and Size make values of shapes.
Learned Program::Impl::learn(Executor& executor, Frame& frame, const std::vector<bool>& keep, bool parameters_static, bool overwrites) const {
  Learned result;
  result.slots.resize(plan->slot_names.size());
  std::vector<uint8_t> facts(plan->slot_names.size(), kUnknown);
  const auto look_at = [&](int slot) {
    SlotKnowledge& known = result.slots[static_cast<size_t>(slot)];
    const Value& value = frame.slots[static_cast<size_t>(slot)];
    known.facts = facts[static_cast<size_t>(slot)];
    if (!value.is_tensor()) return;
    known.shape = value.tensor().sizes().vec();
    known.rounded = value.is_rounded();
    if (type_of(value.tensor().scalar_type()) == value.type() || value.is_rounded()) known.type = carrier_of(value.type());
  };
  for (const int slot : plan->inputs) {
    const bool sequence = frame.slots[static_cast<size_t>(slot)].is_sequence();  // the signature tells only its length
    facts[static_cast<size_t>(slot)] = sequence ? kUnknown : kStaticShape;
  }
  std::set<int> parameter_ids;
  for (const Parameter& parameter : parameters) parameter_ids.insert(parameter.tensor_id);
  for (const auto& [slot, tensor] : plan->stored) {
    const bool fixed = parameters_static || !parameter_ids.contains(tensor.id);
    facts[static_cast<size_t>(slot)] = fixed ? kStaticShape | kStaticValue : kStaticShape;
  }
  for (const auto& [slot, value] : plan->constants) facts[static_cast<size_t>(slot)] = kStaticShape | kStaticValue;

  for (const int slot : plan->inputs) look_at(slot);
  for (const auto& [slot, tensor] : plan->stored) look_at(slot);
  for (const auto& [slot, value] : plan->constants) look_at(slot);
  result.known.assign(plan->steps.size(), false);
  for (size_t i = 0; i < plan->steps.size(); ++i) {
    const Step& step = plan->steps[i];
    const bool done = overwrites && softmax_over_input(step, frame, keep);  // scores are the largest values of a transformer
    if (!done) executor.run_step(step);
    uint8_t all = kStaticShape | kStaticValue;
    bool shape_known = true;
    for (size_t k = 0; k < step.inputs.size(); ++k) {
      if (step.inputs[k].index < 0) continue;
      const uint8_t fact = facts[static_cast<size_t>(step.inputs[k].index)];
      all &= fact;
      const bool decides = k < 32 ? ((step.op->shape_inputs >> k) & 1U) != 0 : step.op->shape_inputs == kAllInputs;
      shape_known = shape_known && (fact & (decides ? kStaticValue : kStaticShape)) != 0;
    }
    for (const SlotRef ref : step.captured) {
      if (ref.depth == 0) all &= facts[static_cast<size_t>(ref.index)];
    }
    if (!step.subplans.empty()) shape_known = shape_known && (all & kStaticValue) != 0;
    const bool reads_shape = step.node->domain.empty() && (step.node->op_type == "Shape" || step.node->op_type == "Size");
    bool value_known = is_deterministic(step) && (reads_shape ? shape_known : (all & kStaticValue) != 0);
    for (const int slot : step.outputs) {
      if (slot < 0) continue;
      const Value& value = frame.slots[static_cast<size_t>(slot)];
      value_known = value_known && (!value.is_tensor() || value.tensor().numel() <= kLargestFolded);
    }
    for (const int slot : step.outputs) {
      if (slot < 0) continue;
      facts[static_cast<size_t>(slot)] =
          static_cast<uint8_t>((value_known ? kStaticValue | kStaticShape : 0) | (shape_known ? kStaticShape : 0));
      if (value_known) result.made.emplace_back(slot, frame.slots[static_cast<size_t>(slot)]);
      look_at(slot);
    }
    result.known[i] = value_known;
    for (const int slot : step.release) {
      if (keep.empty() || !keep[static_cast<size_t>(slot)]) frame.slots[static_cast<size_t>(slot)] = Value();
    }
  }
  return result;
}

std::vector<GradientCut> Program::gradient_cuts() const { return find_gradient_ends(*impl_->plan).cuts; }

}  // namespace sparsify
