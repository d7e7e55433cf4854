#pragma once
#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "wire/arena.h"
#include "wire/writer.h"

/// Every message by key and kind, for tests, fuzzing and dumps: not linked into the broker's request path.
namespace mr::wire::debug {

class Random;

struct Message {
  enum class Kind { request, response, data };
  std::string_view name;
  std::int16_t key;  ///< -1 for data
  Kind kind;
  Version min;
  Version max;
  /// Decodes `frame` and says what is in it, all fields in schema order: {acks=-1,topics=[{name="a"}]}.
  Result<std::string> (*text)(ByteView frame, Version version);
  /// Decodes and encodes again.
  Result<void> (*transcode)(ByteView frame, Version version, Writer& out);
  /// Encodes random values of fields that the version has.
  Result<void> (*random)(std::uint64_t seed, Version version, Writer& out);
};

std::vector<const Message*> all_messages();
/// Null when there is none.
const Message* find_message(std::int16_t key, Message::Kind kind);

}  // namespace mr::wire::debug
