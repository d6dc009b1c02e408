#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/error.h"
#include "onnx/checker.h"

// From <onnx/checker.h> of the ONNX project, which our own "onnx/checker.h" hides.
namespace ONNX_NAMESPACE::checker {
void check_model(const std::string& model_path, bool full_check, bool skip_opset_compatibility_check,
                 bool check_custom_domain);
}  // namespace ONNX_NAMESPACE::checker

namespace sparsify {
namespace {

namespace fs = std::filesystem;

/// An empty folder of its own, gone at the end.
class ScratchFolder {
 public:
  ScratchFolder() {
    std::string name = (fs::temp_directory_path() / "sparsify-check.XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) {
      throw ResourceError{{.what = "no temporary folder can be made for the ONNX checker",
                           .where = fs::temp_directory_path().string(),
                           .fix = "set TMPDIR to a folder that you may write to"}};
    }
    path_ = name;
  }
  ~ScratchFolder() {
    std::error_code error;
    fs::remove_all(path_, error);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;

  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

}  // namespace

std::string full_check(const ModelFile& file) {
  // The checker wants every external file to exist and to be no link, which the real one may be.
  const ScratchFolder scratch;
  std::ofstream(scratch.path() / "payload") << "checked by the loader";
  const std::string model = (scratch.path() / "model.onnx").string();
  std::ofstream(model, std::ios::binary) << file.skeleton("payload");
  try {
    ONNX_NAMESPACE::checker::check_model(model, /*full_check=*/true, false, false);
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}

}  // namespace sparsify
