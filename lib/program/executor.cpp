#include "program/executor.h"

#include <c10/util/Exception.h>
#include <fmt/core.h>

#include <algorithm>
#include <deque>
#include <new>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/names.h"
#include "program/bfloat16.h"
#include "program/schedule.h"

namespace sparsify {
namespace {

std::string shapes_of(const std::vector<const Value*>& inputs) {
  std::vector<std::string> parts;
  for (const Value* input : inputs) parts.push_back(input == nullptr ? "-" : input->describe());
  return join(parts);
}

bool is_out_of_memory(const std::string& message) {
  return message.find("can't allocate memory") != std::string::npos ||
         message.find("out of memory") != std::string::npos ||
         message.find("integer multiplication overflow") != std::string::npos ||  // the count of elements, or of bytes
         message.find("Storage size calculation overflowed") != std::string::npos;
}

bool is_convolution(const Node& node) { return node.domain.empty() && node.op_type == "Conv"; }

/// Copies a value in channels-last order into the usual one.
void put_in_order(Value& value) {
  if (!value.is_tensor() || value.tensor().dim() != 4 || value.tensor().is_contiguous()) return;
  if (!value.tensor().is_contiguous(at::MemoryFormat::ChannelsLast)) return;
  const at::Tensor ordered = value.tensor().contiguous();
  value = value.is_rounded() ? Value::of_rounded(ordered) : Value(ordered, value.type());
}

}  // namespace

Executor::Executor(const RunContext& context, Frame& frame) : context_(context), frame_(frame) {
  training_ = context.training;
  device_ = context.device;
  seed_ = context.seed;
}

void Executor::load_constants() {
  for (const auto& [slot, tensor] : frame_.plan->stored) {
    frame_.slots[static_cast<size_t>(slot)] = load_tensor(tensor);
  }
  for (const auto& [slot, value] : frame_.plan->constants) frame_.slots[static_cast<size_t>(slot)] = value;
}

void Executor::run() {
  for (const Step& step : frame_.plan->steps) {
    run_step(step);
    for (const int slot : step.release) frame_.slots[static_cast<size_t>(slot)] = Value();
  }
}

void Executor::run(const Schedule& schedule) {
  const Plan& plan = *frame_.plan;
  for (const int i : schedule.stored) {
    const auto& [slot, tensor] = plan.stored[static_cast<size_t>(i)];
    frame_.slots[static_cast<size_t>(slot)] = load_tensor(tensor);
  }
  for (const int i : schedule.constants) {
    const auto& [slot, value] = plan.constants[static_cast<size_t>(i)];
    frame_.slots[static_cast<size_t>(slot)] = value;
  }
  for (const auto& [slot, value] : schedule.values) frame_.slots[static_cast<size_t>(slot)] = value;
  for (const Work& work : schedule.works) {
    if (schedule.reorders_layouts && !work.step->takes_any_layout && !work.kernel) {
      for (const int slot : work.reads) put_in_order(frame_.slots[static_cast<size_t>(slot)]);
    }
    if (work.kernel) {
      run_kernel(*work.step, *work.kernel, work.reads);
    } else {
      run_step(*work.step);
    }
    for (const int slot : work.release) frame_.slots[static_cast<size_t>(slot)] = Value();
  }
}

void Executor::run_step(const Step& step) {
  step_ = &step;
  node_ = step.node;
  opset_ = step.opset;
  inputs_.clear();
  outputs_.clear();
  for (const SlotRef ref : step.inputs) inputs_.push_back(ref.index < 0 ? nullptr : &frame_.at(ref));
  for (const int slot : step.outputs) {
    outputs_.push_back(slot < 0 ? nullptr : &frame_.slots[static_cast<size_t>(slot)]);
  }
  if (context_.channels_last) arrange_inputs(step);
  if (context_.bfloat16) {
    run_in_bfloat16(step);
  } else {
    guarded([&] { step.op->function(*this); });
  }
  if (context_.bfloat16 && is_handed_out(step)) widen_handed_out(step);
  if (context_.after != nullptr && frame_.outer == nullptr) replace_outputs(step);
}

bool Executor::is_handed_out(const Step& step) const {
  return frame_.outer == nullptr &&
         std::any_of(step.outputs.begin(), step.outputs.end(), [this](int slot) { return slot >= 0 && (*context_.handed_out)[static_cast<size_t>(slot)]; });
}

/// The way to the loss goes through what is handed out.
void Executor::widen_handed_out(const Step& step) {
  for (const int slot : step.outputs) {
    if (slot < 0) continue;
    Value& value = frame_.slots[static_cast<size_t>(slot)];
    value = widened(value);
  }
}

void Executor::replace_outputs(const Step& step) {
  for (const int slot : step.outputs) {
    if (slot < 0) continue;
    const auto found = context_.after->find(frame_.plan->slot_names[static_cast<size_t>(slot)]);
    if (found == context_.after->end()) continue;
    Value& value = frame_.slots[static_cast<size_t>(slot)];
    value = Value(found->second(widened(value).tensor()), value.type());
  }
}

/// Convolutions want images with their channels last, and what follows keeps that order up to the first operator that
/// works on the elements as they lie in memory.
void Executor::arrange_inputs(const Step& step) {
  arranged_.clear();
  arranged_.reserve(inputs_.size());  // inputs_ points into it
  const auto arrange = [this](const Value*& input, at::MemoryFormat order) {
    const at::Tensor& tensor = input->tensor();
    if (tensor.dim() != 4 || input->type() != DType::Float32 || tensor.is_contiguous(order)) return;
    const at::Tensor ordered = tensor.contiguous(order);
    arranged_.push_back(input->is_rounded() ? Value::of_rounded(ordered) : Value(ordered));
    input = &arranged_.back();
  };
  if (is_convolution(*step.node)) {
    if (inputs_[0]->is_tensor()) arrange(inputs_[0], at::MemoryFormat::ChannelsLast);
  } else if (!step.takes_any_layout) {
    for (const Value*& input : inputs_) {
      if (input != nullptr && input->is_tensor()) arrange(input, at::MemoryFormat::Contiguous);
    }
  }
}

/// Weights are rounded each time, and their gradients come back in float32 through the rounding.
void Executor::run_in_bfloat16(const Step& step) {
  const bool native = multiplies_bfloat16(device_);
  const bool has_weight = inputs_.size() > 1 && inputs_[1] != nullptr && inputs_[1]->is_tensor();
  Bfloat16Part part = bfloat16_part(*step.node, has_weight ? inputs_[1]->tensor().sizes() : at::IntArrayRef());
  if (part == Bfloat16Part::Follows && is_handed_out(step)) part = Bfloat16Part::Widens;  // what only follows loses nothing at the end
  std::deque<Value> converted;
  const bool keeps = exchange_for_bfloat16(part, native, *step.node, inputs_, converted);
  guarded([&] { step.op->function(*this); });
  if (!keeps) return;
  for (Value* output : outputs_) {
    if (output == nullptr || !output->is_tensor()) continue;
    if (native && output->type() == DType::BFloat16) *output = Value::of_rounded(output->tensor());
    if (!native && output->type() == DType::Float32) *output = Value(rounded_to_bfloat16(output->tensor(), native));
  }
}

void Executor::run_kernel(const Step& step, const Kernel& kernel, const std::vector<int>& reads) {
  node_ = step.node;
  opset_ = step.opset;
  inputs_.clear();
  for (const int slot : reads) inputs_.push_back(&frame_.slots[static_cast<size_t>(slot)]);
  guarded([&] { kernel.run(frame_); });
}

template <class Action>
void Executor::guarded(Action action) {
  const auto out_of_memory = [this](const char* detail) {
    return ExhaustedError{{.what = fmt::format("memory ran out computing ({}): {}", shapes_of(inputs_), detail),
                           .where = where(),
                           .fix = "use a smaller batch_size"}};
  };
  try {
    action();
  } catch (const Error&) {
    throw;
  } catch (const std::bad_alloc& e) {
    throw out_of_memory(e.what());
  } catch (const c10::Error& e) {
    const std::string message = e.what_without_backtrace();
    if (is_out_of_memory(message)) throw out_of_memory(message.c_str());
    fail(fmt::format("the operator cannot be applied to ({}): {}", shapes_of(inputs_),
                     message.substr(0, message.find('\n'))),
         "check that inputs and weights have the types and shapes that the operator takes (`sparsify inspect`)");
  }
}

std::vector<Value> Executor::run_subgraph(std::string_view attribute_name, const std::vector<Value>& inputs) {
  const auto found = step_->subplans.find(attribute_name);
  if (found == step_->subplans.end()) {
    fail(fmt::format("the subgraph \"{}\" is missing", attribute_name), "export the model again");
  }
  const Plan& plan = *found->second;
  if (inputs.size() < plan.inputs.size()) {
    fail(fmt::format("the subgraph \"{}\" takes {} inputs, {} are given", attribute_name, plan.inputs.size(), inputs.size()),
         "export the model again");
  }
  check_interrupt();
  Frame frame{&plan, &frame_, std::vector<Value>(plan.slot_names.size())};
  Executor inner(context_, frame);
  inner.load_constants();
  for (size_t i = 0; i < plan.inputs.size(); ++i) frame.slots[static_cast<size_t>(plan.inputs[i])] = inputs[i];
  inner.run();
  std::vector<Value> outputs;
  for (const SlotRef ref : plan.outputs) outputs.push_back(widened(frame.at(ref)));
  return outputs;
}

Value Executor::load_tensor(const StoredTensor& tensor) const {
  if (tensor.value != nullptr) return from_host(*tensor.value);
  const auto found = context_.stored->find(tensor.id);
  return found != context_.stored->end() ? found->second : from_host(context_.file->tensor_data(tensor.id));
}

}  // namespace sparsify
