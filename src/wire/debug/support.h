#pragma once
#include <cstdint>
#include <random>
#include <string>
#include <string_view>

#include "base/uuid.h"
#include "model/ids.h"
#include "wire/kafka_error.h"
#include "wire/reader.h"
#include "wire/records.h"
#include "wire/writer.h"

/// What generated debug code leans on.
namespace mr::wire::debug {

/// Builds {a=1,b="text",c=[0x00ff],d=null}. Bytes and records are hex, text is escaped outside printable ASCII.
class Text {
 public:
  void open() {
    out_ += '{';
    first_ = true;
  }
  void close() {
    out_ += '}';
    first_ = false;
  }
  void open_list() {
    out_ += '[';
    first_ = true;
  }
  void close_list() {
    out_ += ']';
    first_ = false;
  }
  void item() {
    if (!first_) out_ += ',';
    first_ = false;
  }
  void name(std::string_view name) {
    item();
    out_ += name;
    out_ += '=';
  }
  void null() { out_ += "null"; }
  void value(bool v) { out_ += v ? "true" : "false"; }
  void value(std::int64_t v) { out_ += std::to_string(v); }
  void value(double v);
  void value(std::string_view v);
  void value(ByteView v);
  void value(const Uuid& v) { out_ += v.to_string(); }
  void value(const TopicId& v) { value(v.v); }
  void value(KafkaError v) { value(static_cast<std::int64_t>(v)); }
  void value(const Records& v) { v.is_null ? null() : value(v.inline_bytes); }
  template <std::integral T>
    requires(!std::is_same_v<T, bool>)
  void value(T v) {
    value(static_cast<std::int64_t>(v));
  }
  template <class Tag, class Rep>
  void value(Id<Tag, Rep> v) {
    value(static_cast<std::int64_t>(v.v));
  }

  std::string take() { return std::move(out_); }

 private:
  std::string out_;
  bool first_ = true;
};

/// Values with a taste for the ends of their range.
class Random {
 public:
  Random(std::uint64_t seed, Arena& arena) : engine_(seed), arena_(&arena) {}

  bool null() { return below(4) == 0; }
  void value(bool& v) { v = below(2) == 1; }
  void value(double& v) { v = static_cast<double>(static_cast<std::int64_t>(engine_())) / 1024; }
  void value(std::string_view& v);
  void value(ByteView& v);
  void value(Uuid& v) { v = below(4) == 0 ? Uuid{} : Uuid{engine_(), engine_()}; }
  void value(TopicId& v) { value(v.v); }
  void value(KafkaError& v) { v = static_cast<KafkaError>(static_cast<std::int16_t>(below(130)) - 1); }
  void value(Records& v) {
    ByteView bytes;
    value(bytes);
    v = Records::of(bytes);
  }
  template <std::integral T>
    requires(!std::is_same_v<T, bool>)
  void value(T& v) {
    switch (below(6)) {
      case 0:
        v = std::numeric_limits<T>::max();
        break;
      case 1:
        v = std::numeric_limits<T>::min();
        break;
      case 2:
        v = static_cast<T>(-1);
        break;
      default:
        v = static_cast<T>(engine_() >> below(64));
    }
  }
  template <class Tag, class Rep>
  void value(Id<Tag, Rep>& v) {
    value(v.v);
  }
  template <class T, class FillOne>
  List<T> list(FillOne fill_one) {
    // Now and then long enough for a length of two bytes; not when nested, or it explodes.
    std::size_t n = depth_ == 0 && below(16) == 0 ? 130 : below(4);
    List<T> items = arena_->list<T>(n);
    ++depth_;
    for (T& item : items) fill_one(item);
    --depth_;
    return items;
  }

 private:
  std::uint64_t below(std::uint64_t bound) { return engine_() % bound; }

  std::mt19937_64 engine_;
  Arena* arena_;
  int depth_ = 0;
};

template <class M, void (*Print)(Text&, const M&)>
Result<std::string> text_of(ByteView frame, Version version) {
  Arena arena;
  Reader in(frame, arena);
  MR_TRY(M message, M::decode(in, version));
  Text to;
  Print(to, message);
  return to.take();
}

template <class M>
Result<void> transcode(ByteView frame, Version version, Writer& out) {
  Arena arena;
  Reader in(frame, arena);
  MR_TRY(M message, M::decode(in, version));
  return message.encode(out, version);
}

template <class M, void (*Fill)(Random&, Version, M&)>
Result<void> random_of(std::uint64_t seed, Version version, Writer& out) {
  Arena arena;
  Random random(seed, arena);
  M message;
  Fill(random, version, message);
  // Spliced records are views into the arena, which ends here: the caller gets them as bytes.
  Writer pieces;
  MR_TRY_VOID(message.encode(pieces, version));
  for (const Piece& piece : pieces.pieces()) out.raw(piece.bytes);
  return {};
}

}  // namespace mr::wire::debug
