#include <cstddef>
#include <cstdio>

#include <jerror.h>
#include <jpeglib.h>  // needs size_t and FILE

#include <csetjmp>

#include "base/error.h"
#include "data/decode.h"

namespace sparsify {
namespace {

struct JpegErrors {
  jpeg_error_mgr base;  // first: libjpeg hands its address back
  std::jmp_buf escape;
  char message[JMSG_LENGTH_MAX];
};

[[noreturn]] void escape_with_message(j_common_ptr state) {
  auto* errors = reinterpret_cast<JpegErrors*>(state->err);
  state->err->format_message(state, errors->message);
  std::longjmp(errors->escape, 1);
}

/// libjpeg fills what is missing with grey and only warns; a data set should not train on that.
void stop_at_damage(j_common_ptr state, int level) {
  const int code = state->err->msg_code;
  if (level < 0 &&
      (code == JWRN_JPEG_EOF || code == JWRN_HIT_MARKER || code == JWRN_HUFF_BAD_CODE)) {
    escape_with_message(state);
  }
}

struct Decompressor {
  jpeg_decompress_struct state{};
  ~Decompressor() { jpeg_destroy_decompress(&state); }
};

/// Decodes into `*image`, which lives in the caller's frame: longjmp must not skip destructors.
bool decode(std::span<const std::byte> bytes, JpegErrors& errors, HostTensor* image) {
  Decompressor decompressor;
  jpeg_decompress_struct& state = decompressor.state;
  state.err = jpeg_std_error(&errors.base);
  errors.base.error_exit = escape_with_message;
  errors.base.emit_message = stop_at_damage;
  if (setjmp(errors.escape) != 0) return false;
  jpeg_create_decompress(&state);
  jpeg_mem_src(&state, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
  jpeg_read_header(&state, TRUE);
  const bool is_cmyk = state.jpeg_color_space == JCS_CMYK || state.jpeg_color_space == JCS_YCCK;
  const bool is_grey = state.jpeg_color_space == JCS_GRAYSCALE;
  state.out_color_space = is_cmyk ? JCS_CMYK : is_grey ? JCS_GRAYSCALE : JCS_RGB;
  jpeg_start_decompress(&state);

  const int64_t channels = is_grey ? 1 : 3;
  const int64_t width = state.output_width;
  *image = HostTensor(DType::UInt8, {state.output_height, width, channels});
  auto* pixels = image->mutable_data<uint8_t>();
  // Freed by libjpeg with its state.
  JSAMPARRAY line = state.mem->alloc_sarray(reinterpret_cast<j_common_ptr>(&state), JPOOL_IMAGE,
                                            state.output_width * state.output_components, 1);
  while (state.output_scanline < state.output_height) {
    uint8_t* out = pixels + state.output_scanline * width * channels;
    if (!is_cmyk) {
      jpeg_read_scanlines(&state, &out, 1);
      continue;
    }
    jpeg_read_scanlines(&state, line, 1);
    for (int64_t x = 0; x < width; ++x) {
      const uint8_t* ink = line[0] + 4 * x;
      for (int channel = 0; channel < 3; ++channel) {
        // Adobe stores the inks inverted: 255 is none of it.
        const int free = state.saw_Adobe_marker ? ink[channel] : 255 - ink[channel];
        const int light = state.saw_Adobe_marker ? ink[3] : 255 - ink[3];
        out[3 * x + channel] = static_cast<uint8_t>((free * light + 127) / 255);
      }
    }
  }
  jpeg_finish_decompress(&state);
  return true;
}

}  // namespace

HostTensor decode_jpeg(std::span<const std::byte> bytes, const std::string& where) {
  HostTensor image;
  JpegErrors errors;
  if (!decode(bytes, errors, &image)) {
    throw ResourceError{{.what = std::string("the JPEG file is damaged: ") + errors.message,
                         .where = where,
                         .fix = "remove the file, or get it again"}};
  }
  return image;
}

}  // namespace sparsify
