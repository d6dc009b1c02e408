#include <fmt/core.h>

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "base/interrupt.h"
#include "onnx/edit_splices.h"
#include "onnx/external_output.h"
#include "onnx/graph_splices.h"
#include "onnx/model_impl.h"
#include "onnx/splice.h"

namespace sparsify {
namespace {

namespace fs = std::filesystem;

void refuse_input_data(const ModelFile::Impl& impl, const std::string& output) {
  for (const DataFile& data : impl.data_files) {
    std::error_code error;
    if (!fs::equivalent(data.file->path(), output, error) || error) continue;
    throw ConfigError{{.what = "the output is a data file of the input model",
                       .where = output,
                       .fix = "choose another output name"}};
  }
}

class OutputWriter final : public ModelFile::Writer {
 public:
  OutputWriter(const ModelFile::Impl& impl, const std::string& path, const SaveOptions& options)
      : model_(path, options.overwrite) {
    refuse_input_data(impl, path);
    impl.file->require_not_written();
    for (const DataFile& data : impl.data_files) data.file->require_not_written();
    find_stale_data(impl, path);

    const std::vector<OutputData> names = name_output_data(impl, path);
    std::vector<Frame> frames = impl.scan.frames;
    std::vector<Splice> splices = edits_inside(impl);
    for (Splice& splice : location_edits(impl, names, frames)) splices.push_back(std::move(splice));
    add_graph_splices(impl, frames, splices);
    write_spliced(*impl.file, with_length_prefixes(frames, std::move(splices)), model_);
    for (size_t index = 0; index < names.size(); ++index) write_data(impl, index, names[index]);
  }

  ~OutputWriter() override {
    for (const std::string& path : committed_) {
      std::error_code error;
      fs::remove(path, error);
    }
  }

  ModelFile reopen() const override {
    Redirects redirects;
    for (const Data& data : data_) {
      redirects.emplace(data.location, data.file->temporary_path());
    }
    return ModelFile::Impl::wrap(ModelFile::Impl::load(model_.temporary_path(), {}, redirects));
  }

  SavedFile commit() override {
    SavedFile saved;
    saved.path = model_.path();
    saved.size_bytes = model_.size_bytes();
    // The data first: whenever a model has its name, the data it refers to are there.
    for (const Data& data : data_) {
      data.file->commit();
      committed_.push_back(data.file->path());
      saved.size_bytes += data.file->size_bytes();
      saved.data_paths.push_back(data.file->path());
    }
    saved.sha256 = model_.commit();
    committed_.clear();
    for (const std::string& path : stale_) {
      const auto& kept = saved.data_paths;
      std::error_code error;
      if (std::find(kept.begin(), kept.end(), path) == kept.end()) fs::remove(path, error);
    }
    return saved;
  }

 private:
  struct Data {
    std::string location;
    std::unique_ptr<AtomicFile> file;
  };

  void find_stale_data(const ModelFile::Impl& impl, const std::string& path) {
    std::error_code error;
    const bool in_place = fs::equivalent(impl.path, path, error) && !error;
    for (const std::string& candidate : stale_data_of(path)) {
      const bool is_input =
          std::any_of(impl.data_files.begin(), impl.data_files.end(), [&](const DataFile& data) {
            return fs::equivalent(data.file->path(), candidate, error) || error;
          });
      if (in_place || !is_input) stale_.push_back(candidate);
    }
  }

  static void write_spliced(const MappedFile& source, const std::vector<Splice>& splices, AtomicFile& file) {
    constexpr size_t held = size_t{16} << 20;  // of the source in memory at once
    size_t written = 0;
    file.reserve(spliced_size(source.bytes().size(), splices));
    emit_spliced(source.bytes(), splices, [&](std::span<const std::byte> bytes) {
      check_interrupt();
      file.write(bytes);
      written += bytes.size();
      if (written < held) return;
      source.release();
      written = 0;
    });
    source.release();
  }

  void write_data(const ModelFile::Impl& impl, size_t index, const OutputData& name) {
    const fs::path path = fs::path(model_.path()).parent_path() / name.location;
    data_.push_back({name.location, std::make_unique<AtomicFile>(path.string(), false)});
    write_spliced(*impl.data_files[index].file,
                  with_length_prefixes({}, edits_of_data_file(impl, static_cast<int>(index))),
                  *data_.back().file);
  }

  AtomicFile model_;
  std::vector<Data> data_;
  std::vector<std::string> stale_;
  std::vector<std::string> committed_;  ///< data without their model; gone again if the model fails
};

}  // namespace

std::unique_ptr<ModelFile::Writer> ModelFile::write(const std::string& path,
                                                    const SaveOptions& options) const {
  return std::make_unique<OutputWriter>(*impl_, path, options);
}

}  // namespace sparsify
