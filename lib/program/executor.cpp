#include "program/executor.h"

#include <c10/util/Exception.h>
#include <fmt/core.h>

#include <new>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/names.h"

namespace sparsify {
namespace {

std::string shapes_of(const std::vector<const Value*>& inputs) {
  std::vector<std::string> parts;
  for (const Value* input : inputs) parts.push_back(input == nullptr ? "-" : input->describe());
  return join(parts);
}

bool is_out_of_memory(const std::string& message) {
  return message.find("can't allocate memory") != std::string::npos ||
         message.find("out of memory") != std::string::npos;
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

void Executor::run(const std::vector<bool>& skip, const std::vector<bool>& keep) {
  const std::vector<Step>& steps = frame_.plan->steps;
  for (size_t i = 0; i < steps.size(); ++i) {
    if (skip.empty() || !skip[i]) run_step(steps[i]);
    for (const int slot : steps[i].release) {
      if (keep.empty() || !keep[static_cast<size_t>(slot)]) frame_.slots[static_cast<size_t>(slot)] = Value();
    }
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
  try {
    step.op->function(*this);
  } catch (const Error&) {
    throw;
  } catch (const std::bad_alloc&) {
    throw ExhaustedError{{.what = fmt::format("memory ran out computing ({})", shapes_of(inputs_)),
                          .where = where(),
                          .fix = "use a smaller batch_size"}};
  } catch (const c10::Error& e) {
    const std::string message = e.what_without_backtrace();
    if (is_out_of_memory(message)) {
      throw ExhaustedError{{.what = fmt::format("memory ran out computing ({})", shapes_of(inputs_)),
                            .where = where(),
                            .fix = "use a smaller batch_size"}};
    }
    fail(fmt::format("the operator cannot be applied to ({}): {}", shapes_of(inputs_),
                     message.substr(0, message.find('\n'))),
         "check that the inputs have the shapes the model was exported for");
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
  inner.run({}, {});
  std::vector<Value> outputs;
  for (const SlotRef ref : plan.outputs) outputs.push_back(frame.at(ref));
  return outputs;
}

Value Executor::load_tensor(const StoredTensor& tensor) const {
  if (tensor.value != nullptr) return from_host(*tensor.value);
  const auto found = context_.stored->find(tensor.id);
  return found != context_.stored->end() ? found->second : from_host(context_.file->tensor_data(tensor.id));
}

}  // namespace sparsify
