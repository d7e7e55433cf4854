#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// Frames in a text file, as tests/golden/java writes them; see Golden.java for the columns.
namespace mr::golden {

/// Empty when the line's frame decodes to its text, encodes to the same bytes and every shortened prefix of it is
/// refused (a batch: passes validate_batch, and its records are the text); else what is wrong.
std::optional<std::string> problem_of(std::string_view line);

/// Lines with random frames of every message and version, and batches of every codec, as our encoders write them.
std::vector<std::string> make_lines(std::uint64_t seed, int per_version);

}  // namespace mr::golden
