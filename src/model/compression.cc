#include "model/compression.h"

#include <isa-l/igzip_lib.h>
#include <lz4frame.h>
#include <snappy.h>
#include <zstd.h>

#include <algorithm>

namespace mr {
namespace {

/// Memory that an Inflater keeps between calls; more than this is given back.
constexpr std::size_t kKeptBytes = 4 << 20;

// Xerial's snappy framing: magic, two int32 versions, then int32 length and a raw snappy block each.
constexpr unsigned char kXerialMagic[] = {0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0};
constexpr std::size_t kXerialHeader = 16;
constexpr std::size_t kXerialBlock = 32 << 10;
constexpr std::size_t kSnappyRatioMax = 22;

/// Bytes that grow by doubling and are not cleared first.
class Buffer {
 public:
  std::byte* data() { return data_.get(); }
  std::size_t capacity() const { return capacity_; }
  /// At least `capacity` bytes, of which the first `used` are kept.
  void reserve(std::size_t capacity, std::size_t used) {
    if (capacity <= capacity_) return;
    auto bigger = std::make_unique_for_overwrite<std::byte[]>(capacity);
    if (used > 0) std::memcpy(bigger.get(), data_.get(), used);
    data_ = std::move(bigger);
    capacity_ = capacity;
  }
  void release() {
    data_.reset();
    capacity_ = 0;
  }

 private:
  std::unique_ptr<std::byte[]> data_;
  std::size_t capacity_ = 0;
};

Error bad(const char* what) { return Error(Errc::malformed, what); }
Error over(std::uint64_t bytes_max) {
  return Error(Errc::too_large, "records inflate to more than " + std::to_string(bytes_max) + " bytes");
}

/// Where output goes: a buffer that grows up to a limit or, when somebody takes pieces, is emptied when full.
struct Sink {
  Buffer& buffer;
  std::uint64_t bytes_max;
  const Inflater::Take* take = nullptr;
  std::size_t used = 0;     ///< of the buffer
  std::uint64_t taken = 0;  ///< in the pieces before it

  /// Room for more. One byte above the limit is allowed, to tell "full" from "over".
  Result<void> grow() {
    if (take != nullptr && used > 0) MR_TRY_VOID(hand_over());
    const std::uint64_t cap = bytes_max + 1 - taken;
    if (used >= cap) return over(bytes_max);
    std::uint64_t wanted = std::max<std::uint64_t>(used + 1, Inflater::kPieceBytes);
    if (take == nullptr) wanted = std::max<std::uint64_t>(wanted, 2 * buffer.capacity());
    buffer.reserve(static_cast<std::size_t>(std::min(wanted, cap)), used);
    return {};
  }
  /// What is left when all is inflated.
  Result<void> finish() { return take == nullptr || used == 0 ? Result<void>{} : hand_over(); }
  std::byte* at() { return buffer.data() + used; }
  /// Never beyond one byte over the limit, also when the buffer is larger from an earlier use.
  std::size_t room() const {
    std::uint64_t end = std::min<std::uint64_t>(buffer.capacity(), bytes_max + 1 - taken);
    if (take != nullptr) end = std::min<std::uint64_t>(end, Inflater::kPieceBytes);
    return static_cast<std::size_t>(end - std::min<std::uint64_t>(end, used));
  }
  bool over_limit() const { return taken + used > bytes_max; }

 private:
  Result<void> hand_over() {
    MR_TRY_VOID((*take)(ByteView{buffer.data(), used}));
    taken += used;
    used = 0;
    return {};
  }
};

Result<void> inflate_gzip(inflate_state& state, ByteView in, Sink& out) {
  isal_inflate_init(&state);
  state.crc_flag = ISAL_GZIP;
  // The library wants a non-const pointer but only reads.
  state.next_in = reinterpret_cast<std::uint8_t*>(const_cast<std::byte*>(in.data()));
  state.avail_in = static_cast<std::uint32_t>(in.size());
  while (true) {
    if (out.room() == 0) MR_TRY_VOID(out.grow());
    state.next_out = reinterpret_cast<std::uint8_t*>(out.at());
    auto room = static_cast<std::uint32_t>(std::min<std::size_t>(out.room(), 1u << 30));
    state.avail_out = room;
    std::uint32_t in_before = state.avail_in;
    int code = isal_inflate(&state);
    std::size_t made = room - state.avail_out;
    out.used += made;
    if (out.over_limit()) return over(out.bytes_max);
    if (code != ISAL_DECOMP_OK) return bad("not a gzip stream");
    if (state.block_state == ISAL_BLOCK_FINISH) {
      if (state.avail_in == 0) return {};
      isal_inflate_reset(&state);  // another member follows
      state.crc_flag = ISAL_GZIP;
    } else if (made == 0 && state.avail_in == in_before && state.avail_out > 0) {
      return bad("gzip stream is cut");
    }
  }
}

Result<void> inflate_snappy_block(ByteView in, Sink& out) {
  const char* from = reinterpret_cast<const char*>(in.data());
  std::size_t size = 0;
  if (!snappy::GetUncompressedLength(from, in.size(), &size)) return bad("snappy block without a length");
  if (size > out.bytes_max - out.taken - out.used) return over(out.bytes_max);
  // A block cannot say more than 64 bytes with 3: a length that lies is found before memory is taken for it.
  if (size / kSnappyRatioMax > in.size()) return bad("snappy block shorter than its length");
  if (out.take != nullptr && out.used > 0) MR_TRY_VOID(out.grow());
  out.buffer.reserve(out.used + size, out.used);
  if (!snappy::RawUncompress(from, in.size(), reinterpret_cast<char*>(out.at()))) return bad("not a snappy block");
  out.used += size;
  return {};
}

Result<void> inflate_snappy(ByteView in, Sink& out) {
  if (in.size() < kXerialHeader || std::memcmp(in.data(), kXerialMagic, sizeof kXerialMagic) != 0)
    return inflate_snappy_block(in, out);
  in = in.subspan(kXerialHeader);
  while (!in.empty()) {
    if (in.size() < 4) return bad("snappy block length is cut");
    auto size = load_be<std::int32_t>(in.data());
    in = in.subspan(4);
    if (size < 0 || static_cast<std::size_t>(size) > in.size()) return bad("snappy block is cut");
    MR_TRY_VOID(inflate_snappy_block(in.first(static_cast<std::size_t>(size)), out));
    in = in.subspan(static_cast<std::size_t>(size));
  }
  return {};
}

/// `context` is new, or has read whole frames alone.
Result<void> inflate_lz4(LZ4F_dctx* context, ByteView in, Sink& out) {
  std::size_t hint = 1;
  while (!in.empty() || hint != 0) {
    if (out.room() == 0) MR_TRY_VOID(out.grow());
    std::size_t made = out.room();
    std::size_t taken = in.size();
    hint = LZ4F_decompress(context, out.at(), &made, in.data(), &taken, nullptr);
    if (LZ4F_isError(hint)) return bad("not an lz4 frame");
    out.used += made;
    if (out.over_limit()) return over(out.bytes_max);
    in = in.subspan(taken);
    if (hint != 0 && made == 0 && taken == 0) return bad("lz4 frame is cut");
  }
  return {};
}

Result<void> inflate_zstd(ZSTD_DCtx* context, ByteView in, Sink& out) {
  ZSTD_DCtx_reset(context, ZSTD_reset_session_only);
  ZSTD_inBuffer from{in.data(), in.size(), 0};
  std::size_t hint = 1;
  while (from.pos < from.size || hint != 0) {
    if (out.room() == 0) MR_TRY_VOID(out.grow());
    ZSTD_outBuffer to{out.at(), out.room(), 0};
    std::size_t in_before = from.pos;
    hint = ZSTD_decompressStream(context, &to, &from);
    if (ZSTD_isError(hint)) return bad("not a zstd frame");
    out.used += to.pos;
    if (out.over_limit()) return over(out.bytes_max);
    if (hint != 0 && to.pos == 0 && from.pos == in_before) return bad("zstd frame is cut");
  }
  return {};
}

struct DctxFree {
  void operator()(ZSTD_DCtx* p) const { ZSTD_freeDCtx(p); }
  void operator()(LZ4F_dctx* p) const { LZ4F_freeDecompressionContext(p); }
};

}  // namespace

struct Inflater::State {
  Buffer buffer;
  std::unique_ptr<inflate_state> gzip;
  std::unique_ptr<LZ4F_dctx, DctxFree> lz4;
  std::unique_ptr<ZSTD_DCtx, DctxFree> zstd;

  Result<void> run(Codec codec, ByteView in, Sink& out) {
    switch (codec) {
      case Codec::gzip:
        if (!gzip) gzip = std::make_unique<inflate_state>();
        return inflate_gzip(*gzip, in, out);
      case Codec::snappy:
        return inflate_snappy(in, out);
      case Codec::lz4: {
        // Kept only when a stream has ended well. Resetting it is not enough before lz4 1.10, which keeps how much a
        // broken frame had left of its content size (lz4 #1227): every frame without a size is refused from then on.
        auto context = std::move(lz4);
        if (!context) {
          LZ4F_dctx* made = nullptr;
          if (LZ4F_isError(LZ4F_createDecompressionContext(&made, LZ4F_VERSION)))
            return Error(Errc::resource_exhausted, "lz4 context");
          context.reset(made);
        }
        auto outcome = inflate_lz4(context.get(), in, out);
        if (outcome.ok()) lz4 = std::move(context);
        return outcome;
      }
      case Codec::zstd: {
        if (!zstd) zstd.reset(ZSTD_createDCtx());
        if (!zstd) return Error(Errc::resource_exhausted, "zstd context");
        auto outcome = inflate_zstd(zstd.get(), in, out);
        if (ZSTD_sizeof_DCtx(zstd.get()) > kKeptBytes) zstd.reset();  // a frame with a huge window
        return outcome;
      }
      case Codec::none:
        break;
    }
    return Error(Errc::unsupported_compression, "codec " + std::to_string(static_cast<int>(codec)));
  }
};

Inflater::Inflater() : state_(std::make_unique<State>()) {}
Inflater::~Inflater() = default;

Result<ByteView> Inflater::inflate(Codec codec, ByteView compressed, std::uint64_t bytes_max) {
  if (codec == Codec::none) return compressed;
  if (compressed.empty()) return bad("compressed records without a byte");
  if (state_->buffer.capacity() > kKeptBytes) state_->buffer.release();
  Sink out{state_->buffer, bytes_max};
  auto inflated = state_->run(codec, compressed, out);
  if (!inflated.ok()) {
    // A bomb leaves nothing behind: nobody may inflate again here for long.
    if (state_->buffer.capacity() > kKeptBytes) state_->buffer.release();
    return inflated.error();
  }
  return ByteView{out.buffer.data(), out.used};
}

Result<void> Inflater::inflate_pieces(Codec codec, ByteView compressed, std::uint64_t bytes_max, const Take& take) {
  if (codec == Codec::none) return take(compressed);
  if (compressed.empty()) return bad("compressed records without a byte");
  Sink out{state_->buffer, bytes_max, &take};
  auto inflated = state_->run(codec, compressed, out);
  if (inflated.ok()) inflated = out.finish();
  if (state_->buffer.capacity() > kKeptBytes) state_->buffer.release();
  return inflated;
}

namespace {

/// The window of the frame that begins here (RFC 8878, 3.1.1.1); 0: none, or no frame.
std::uint64_t zstd_window(ByteView frame) {
  constexpr std::size_t kDescriptorAt = 4;
  constexpr unsigned char kMagic[kDescriptorAt] = {0x28, 0xb5, 0x2f, 0xfd};
  if (frame.size() < kDescriptorAt + 2 || std::memcmp(frame.data(), kMagic, kDescriptorAt) != 0) return 0;
  const auto descriptor = std::to_integer<unsigned>(frame[kDescriptorAt]);
  if ((descriptor & 0x20) != 0) {
    // One segment: the window is all of the content.
    const std::uint64_t content = ZSTD_getFrameContentSize(frame.data(), frame.size());
    return content >= ZSTD_CONTENTSIZE_ERROR ? 0 : content;
  }
  const auto window = std::to_integer<unsigned>(frame[kDescriptorAt + 1]);
  const std::uint64_t base = std::uint64_t{1} << (10 + (window >> 3));
  return base + base / 8 * (window & 7);
}

std::uint64_t zstd_cost(ByteView in) {
  constexpr std::uint64_t kWindowMax = std::uint64_t{1} << 27;  // beyond it the library refuses the frame
  constexpr std::uint64_t kContext = 512 << 10;
  std::uint64_t largest = 0;
  while (!in.empty()) {
    if (std::uint64_t window = zstd_window(in); window <= kWindowMax) largest = std::max(largest, window);
    const std::size_t size = ZSTD_findFrameCompressedSize(in.data(), in.size());
    if (ZSTD_isError(size)) break;  // cut or no frame: inflating says so, and gets no further
    in = in.subspan(size);
  }
  return largest + kContext;
}

std::uint64_t snappy_cost(ByteView in) {
  if (in.size() < kXerialHeader || std::memcmp(in.data(), kXerialMagic, sizeof kXerialMagic) != 0)
    return in.size() * kSnappyRatioMax;
  std::size_t largest = 0;
  for (in = in.subspan(kXerialHeader); in.size() >= 4;) {
    const auto size = static_cast<std::size_t>(std::max(load_be<std::int32_t>(in.data()), 0));
    largest = std::max(largest, std::min(size, in.size()));
    in = in.subspan(std::min(4 + size, in.size()));
  }
  return largest * kSnappyRatioMax;
}

}  // namespace

std::uint64_t inflation_cost(Codec codec, ByteView compressed) {
  constexpr std::uint64_t kLz4Blocks = 9 << 20;  // two of the largest, and context
  constexpr std::uint64_t kGzipContext = 128 << 10;
  switch (codec) {
    case Codec::none:
      return 0;
    case Codec::gzip:
      return Inflater::kPieceBytes + kGzipContext;
    case Codec::snappy:
      return Inflater::kPieceBytes + snappy_cost(compressed);
    case Codec::lz4:
      return Inflater::kPieceBytes + kLz4Blocks;
    case Codec::zstd:
      return Inflater::kPieceBytes + zstd_cost(compressed);
  }
  return 0;
}

namespace {

/// Room for `n` more bytes at the end of `out`; the caller cuts back what it did not use.
std::byte* extend(std::vector<std::byte>& out, std::size_t n) {
  std::size_t at = out.size();
  out.resize(at + n);
  return out.data() + at;
}

Result<void> compress_gzip_at(ByteView in, std::vector<std::byte>& out, int level) {
  std::vector<std::uint8_t> level_buffer(level == 3   ? ISAL_DEF_LVL3_DEFAULT
                                         : level == 2 ? ISAL_DEF_LVL2_DEFAULT
                                                      : ISAL_DEF_LVL1_DEFAULT);
  auto stream = std::make_unique<isal_zstream>();
  isal_deflate_init(stream.get());
  stream->gzip_flag = IGZIP_GZIP;
  stream->level = static_cast<std::uint32_t>(level);
  stream->level_buf = level_buffer.data();
  stream->level_buf_size = static_cast<std::uint32_t>(level_buffer.size());
  stream->end_of_stream = 1;
  stream->next_in = reinterpret_cast<std::uint8_t*>(const_cast<std::byte*>(in.data()));
  stream->avail_in = static_cast<std::uint32_t>(in.size());
  do {
    std::size_t chunk = in.size() / 2 + 1024;
    stream->next_out = reinterpret_cast<std::uint8_t*>(extend(out, chunk));
    stream->avail_out = static_cast<std::uint32_t>(chunk);
    if (isal_deflate(stream.get()) != COMP_OK) return Error(Errc::internal, "igzip refused to compress");
    out.resize(out.size() - stream->avail_out);
  } while (stream->internal_state.state != ZSTATE_END);
  return {};
}

/// The library's levels 2 and 3 make some data larger (log lines, numbers), so the smallest of those up to `level` is
/// taken: a higher level is never larger.
Result<void> compress_gzip(ByteView in, std::vector<std::byte>& out, int level) {
  const std::size_t at = out.size();
  MR_TRY_VOID(compress_gzip_at(in, out, 1));
  for (int higher = 2; higher <= level; ++higher) {
    std::vector<std::byte> other;
    MR_TRY_VOID(compress_gzip_at(in, other, higher));
    if (other.size() >= out.size() - at) continue;
    out.resize(at);
    out.insert(out.end(), other.begin(), other.end());
  }
  return {};
}

void compress_snappy(ByteView in, std::vector<std::byte>& out) {
  std::byte* header = extend(out, kXerialHeader);
  std::memcpy(header, kXerialMagic, sizeof kXerialMagic);
  store_be(header + 8, std::int32_t{1});   // version
  store_be(header + 12, std::int32_t{1});  // lowest version that can read it
  while (!in.empty()) {
    ByteView block = in.first(std::min(in.size(), kXerialBlock));
    std::size_t at = out.size();
    std::byte* to = extend(out, 4 + snappy::MaxCompressedLength(block.size()));
    std::size_t made = 0;
    snappy::RawCompress(reinterpret_cast<const char*>(block.data()), block.size(), reinterpret_cast<char*>(to + 4),
                        &made);
    store_be(to, static_cast<std::int32_t>(made));
    out.resize(at + 4 + made);
    in = in.subspan(block.size());
  }
}

Result<void> compress_lz4(ByteView in, std::vector<std::byte>& out, int level) {
  LZ4F_preferences_t preferences{};
  preferences.frameInfo.blockSizeID = LZ4F_max64KB;
  preferences.frameInfo.blockMode = LZ4F_blockIndependent;
  preferences.compressionLevel = level;
  std::size_t bound = LZ4F_compressFrameBound(in.size(), &preferences);
  std::size_t at = out.size();
  std::size_t made = LZ4F_compressFrame(extend(out, bound), bound, in.data(), in.size(), &preferences);
  if (LZ4F_isError(made)) return Error(Errc::internal, LZ4F_getErrorName(made));
  out.resize(at + made);
  return {};
}

Result<void> compress_zstd(ByteView in, std::vector<std::byte>& out, int level) {
  std::size_t bound = ZSTD_compressBound(in.size());
  std::size_t at = out.size();
  std::size_t made = ZSTD_compress(extend(out, bound), bound, in.data(), in.size(), level == 0 ? 3 : level);
  if (ZSTD_isError(made)) return Error(Errc::internal, ZSTD_getErrorName(made));
  out.resize(at + made);
  return {};
}

}  // namespace

Result<void> compress(Codec codec, ByteView bytes, std::vector<std::byte>& out, int level) {
  switch (codec) {
    case Codec::none:
      out.insert(out.end(), bytes.begin(), bytes.end());
      return {};
    case Codec::gzip:
      return compress_gzip(bytes, out, std::clamp(level, 0, 3));
    case Codec::snappy:
      compress_snappy(bytes, out);
      return {};
    case Codec::lz4:
      return compress_lz4(bytes, out, level);
    case Codec::zstd:
      return compress_zstd(bytes, out, level);
  }
  return Error(Errc::unsupported_compression, "codec " + std::to_string(static_cast<int>(codec)));
}

}  // namespace mr
