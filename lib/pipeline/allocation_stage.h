#pragma once

#include <string>
#include <vector>

#include "allocators/allocator.h"
#include "config/recipe.h"
#include "onnx/model_file.h"

namespace sparsify {

class Criterion;

/// In units: the least that a layer keeps (min_density, and one weight for every output channel) and the most
/// (max_density); density_limits come first.
struct UnitLimits {
  int64_t floor = 0;
  int64_t ceiling = 0;
};
UnitLimits limits_of(const Recipe& recipe, size_t rule, const PrunableTensor& layer, int64_t units);

/// Before any work: refuses what the recipe lacks for a data-driven allocation, budgets that zeros do not serve, and scores that the
/// allocation cannot take.
void require_allocatable(const Recipe& recipe, const PruneRule& rule, const Criterion& criterion, const Allocator& allocator, const std::string& path);

/// The budget of a rule whose task is complete (scores, select, pattern). A budget of params, MACs or bytes is met from below
/// by a search over the sparsity, which is then set in the task.
///   notes  gets what the report should say of the choice
Budget allocate(const ModelFile& file, const Recipe& recipe, const PruneRule& rule, const Allocator& allocator, AllocationTask& task,
                const std::string& path, std::vector<std::string>& notes);

/// Of tables of `sparsify sensitivity` that rules name: one measured on another model or with another criterion than the rule's.
/// throws what reading the file throws
std::vector<std::string> table_warnings(const ModelFile& given, const Recipe& recipe);

/// What an allocation calls for a word about: layers at their floors, thin ones, empty ones, a target that limits moved.
std::vector<std::string> allocation_warnings(const PruneRule& rule, const AllocationTask& task, const Budget& budget);

}  // namespace sparsify
