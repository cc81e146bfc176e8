// Text forms of values: sizes, durations, host:port, hexadecimal, base64. All functions are pure.
#pragma once
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace benchfs {

inline constexpr std::uint64_t kKiB = 1ull << 10;
inline constexpr std::uint64_t kMiB = 1ull << 20;
inline constexpr std::uint64_t kGiB = 1ull << 30;
inline constexpr std::uint64_t kTiB = 1ull << 40;

/// Bytes of "4096", "64KiB", "4 MiB", "1GiB". Units: B, KiB, MiB, GiB, TiB, spelled exactly so; no
/// fractions, no decimal units. The error is a phrase such as `unknown unit "MB"`.
std::expected<std::uint64_t, std::string> parse_size(std::string_view text);
/// Nanoseconds of "100us", "3000 ms", "30s", "5min", "1h". A unit (ns, us, ms, s, min, h) is
/// required except for "0".
std::expected<std::uint64_t, std::string> parse_duration_ns(std::string_view text);
/// A whole decimal number.
std::expected<std::uint64_t, std::string> parse_integer(std::string_view text);

/// For people: "1.5 GiB", "4 MiB", "17 B"; rounded to one decimal.
std::string format_bytes(std::uint64_t bytes);
/// For people: "1.2 s", "30 s", "250 us"; rounded to one decimal.
std::string format_duration(std::uint64_t ns);
/// Exact and readable by parse_size: the largest unit that divides, "4MiB", "1000B".
std::string exact_size(std::uint64_t bytes);
/// Exact and readable by parse_duration_ns: "30s", "50us", "90s", "0s".
std::string exact_duration(std::uint64_t ns);

struct HostPort {
  std::string host;  ///< name, address or interface; an IPv6 address without its brackets
  std::uint16_t port = 0;
  bool operator==(const HostPort&) const = default;
};
/// Of "host:port" or "[v6]:port"; without ":port" the port is `default_port`, or nothing is
/// returned if there is no default. Nothing is resolved.
std::optional<HostPort> parse_host_port(std::string_view text,
                                        std::optional<std::uint16_t> default_port = std::nullopt);
/// "host:port", with brackets round an IPv6 address.
std::string format_host_port(const HostPort& address);

/// Parts of "a,b,c" without surrounding blanks; empty parts are dropped.
std::vector<std::string> split_list(std::string_view text);
std::string_view trim(std::string_view text);

/// Lower-case hexadecimal.
std::string to_hex(std::span<const std::byte> bytes);
/// The u64 as 16 digits.
std::string to_hex(std::uint64_t value);
/// Strict: an even number of hexadecimal digits and nothing else.
std::optional<std::vector<std::byte>> from_hex(std::string_view text);
/// Strict: 1 to 16 hexadecimal digits.
std::optional<std::uint64_t> u64_from_hex(std::string_view text);

/// RFC 4648 section 4, with padding, on one line.
std::string to_base64(std::span<const std::byte> bytes);
/// Strict: canonical RFC 4648 section 4 only: padded, no blanks, unused bits zero.
std::optional<std::vector<std::byte>> from_base64(std::string_view text);

/// `text` with control characters and backslashes as escapes, so that it fits one line of a log.
std::string escape_line(std::string_view text);

}  // namespace benchfs
