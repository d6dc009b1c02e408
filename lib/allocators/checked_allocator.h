#pragma once

#include "allocators/allocator.h"
#include "base/plugin_call.h"

namespace sparsify {

/// An allocator whose every budget is checked: one count a layer, each between its floor and its ceiling, and in all what the target
/// keeps. The target is met exactly, or layer by layer with one unit of rounding each (as `uniform` does), where the limits of single
/// layers may move the sum. A task with `fit` is not judged by its sum: its budgets are those of other targets.
/// `inner` must outlive it.
/// throws ConfigError that names the plugin, what was asked and what it gave, also for what the plugin throws itself
class CheckedAllocator final : public Allocator {
 public:
  CheckedAllocator(const Allocator& inner, PluginName name) : inner_(inner), name_(std::move(name)) {}

  bool needs_damage() const override { return inner_.needs_damage(); }
  Budget allocate(const AllocationTask& task) const override;

 private:
  const Allocator& inner_;
  PluginName name_;
};

}  // namespace sparsify
