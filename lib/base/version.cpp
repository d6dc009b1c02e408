#include "base/version.h"

namespace sparsify {

std::string version() { return SPARSIFY_VERSION; }

std::map<std::string, std::string> build_versions() {
  const std::string commit = SPARSIFY_COMMIT;
  return {{"sparsify", commit.empty() ? version() : version() + " (" + commit + ")"}, {"compiler", "g++ " __VERSION__}};
}

}  // namespace sparsify
