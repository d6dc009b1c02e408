#include <png.h>

#include <csetjmp>
#include <cstdio>
#include <cstring>

#include "base/error.h"
#include "data/decode.h"

namespace sparsify {
namespace {

struct PngSource {
  std::span<const std::byte> rest;
  char message[128] = "";
};

void read_bytes(png_structp png, png_bytep out, size_t size) {
  auto* source = static_cast<PngSource*>(png_get_io_ptr(png));
  if (size > source->rest.size()) png_error(png, "the file ends too early");
  std::memcpy(out, source->rest.data(), size);
  source->rest = source->rest.subspan(size);
}

[[noreturn]] void keep_message(png_structp png, png_const_charp message) {
  auto* source = static_cast<PngSource*>(png_get_error_ptr(png));
  std::snprintf(source->message, sizeof source->message, "%s", message);
  png_longjmp(png, 1);
}

void ignore_warning(png_structp, png_const_charp) {}

struct Reader {
  png_structp png = nullptr;
  png_infop info = nullptr;
  ~Reader() { png_destroy_read_struct(&png, &info, nullptr); }
};

/// Decodes into `*image` by way of `*rows`; both live in the caller's frame: longjmp must not skip
/// destructors.
bool decode(PngSource& source, HostTensor* image, std::vector<png_bytep>* rows) {
  Reader reader;
  reader.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &source, keep_message, ignore_warning);
  if (reader.png == nullptr) return false;
  reader.info = png_create_info_struct(reader.png);
  const png_structp png = reader.png;
  const png_infop info = reader.info;
  if (info == nullptr || setjmp(png_jmpbuf(png)) != 0) return false;
  png_set_read_fn(png, &source, read_bytes);
  png_read_info(png, info);
  const int color = png_get_color_type(png, info);
  if (color == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(png);
  if (color == PNG_COLOR_TYPE_GRAY) png_set_expand_gray_1_2_4_to_8(png);
  png_set_scale_16(png);
  png_set_strip_alpha(png);
  png_set_interlace_handling(png);
  png_read_update_info(png, info);

  const int64_t height = png_get_image_height(png, info);
  const int64_t row_bytes = static_cast<int64_t>(png_get_rowbytes(png, info));
  *image = HostTensor(DType::UInt8,
                      {height, png_get_image_width(png, info), png_get_channels(png, info)});
  for (int64_t row = 0; row < height; ++row)
    rows->push_back(image->mutable_data<uint8_t>() + row * row_bytes);
  png_read_image(png, rows->data());
  png_read_end(png, nullptr);
  return true;
}

}  // namespace

HostTensor decode_png(std::span<const std::byte> bytes, const std::string& where) {
  PngSource source;
  source.rest = bytes;
  HostTensor image;
  std::vector<png_bytep> rows;
  if (!decode(source, &image, &rows)) {
    throw ResourceError{{.what = std::string("the PNG file is damaged: ") + source.message,
                         .where = where,
                         .fix = "remove the file, or get it again"}};
  }
  return image;
}

}  // namespace sparsify
