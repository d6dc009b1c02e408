#include <nlohmann/json.hpp>

#include "base/error.h"
#include "config/recipe.h"
#include "pipeline/families.h"
#include "sparsify/command.h"

namespace sparsify {
namespace {

std::function<int()> declare(CLI::App&, Context&) {
  return [] {
    print(recipe_schema(all_options()).dump(2) + "\n");
    return kDone;
  };
}

const RegisterCommand entry{{"schema", "the JSON Schema of recipes, for editors and CI", declare}};

}  // namespace
}  // namespace sparsify
