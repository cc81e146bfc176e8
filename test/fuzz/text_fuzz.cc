// The small strict parsers: sizes, durations, addresses, hexadecimal, base64, paths. What they
// accept must survive the way back.
#include "base/assert.hpp"
#include "base/path.hpp"
#include "base/text.hpp"
#include "base/types.hpp"
#include "fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace benchfs;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto bytes = parse_size(text)) BFS_ASSERT(parse_size(exact_size(*bytes)) == *bytes);
  if (const auto ns = parse_duration_ns(text))
    BFS_ASSERT(parse_duration_ns(exact_duration(*ns)) == *ns);
  if (const auto n = parse_integer(text)) {
    (void)format_bytes(*n);
    (void)format_duration(*n);
  }
  for (const auto& address : {parse_host_port(text), parse_host_port(text, 7)}) {
    if (address) BFS_ASSERT(parse_host_port(format_host_port(*address)) == address);
  }
  if (const auto bytes = from_hex(text)) BFS_ASSERT(from_hex(to_hex(*bytes)) == bytes);
  if (const auto value = u64_from_hex(text)) BFS_ASSERT(u64_from_hex(to_hex(*value)) == value);
  if (const auto bytes = from_base64(text)) BFS_ASSERT(to_base64(*bytes) == text);
  BFS_ASSERT(from_base64(to_base64(std::as_bytes(std::span{text}))).has_value());
  for (const std::string& part : split_list(text)) BFS_ASSERT(!part.empty());
  for (const char c : escape_line(text)) BFS_ASSERT(static_cast<unsigned char>(c) >= 0x20);

  if (const auto path = canonical_path(text)) {
    BFS_ASSERT(path->starts_with('/') && path->size() <= kPathBytesMax);
    BFS_ASSERT(*canonical_path(*path) == *path);
    for (std::string_view rest = std::string_view(*path).substr(1); !rest.empty();) {
      const std::string_view name = take_name(rest);
      BFS_ASSERT(!name.empty() && name != "." && name.size() <= kNameBytesMax);
    }
    BFS_ASSERT(!path->starts_with("/../") && *path != "/..");
  }
  return 0;
}

std::vector<std::string> fuzz_seeds() {
  return {"64KiB",
          "18446744073709551615",
          "100 us",
          "5min",
          "node-1:7000",
          "[fe80::1%e]:70",
          "a, b,,c",
          "00ff7e",
          "Zm9vYg==",
          "Zm9vYmFy",
          "/a/../b//./c/",
          "../..",
          std::string(300, 'x')};
}

unsigned long fuzz_runs() {
  return 100'000;
}
