// Text forms of values: sizes, durations, host:port, hexadecimal, base64. The parsers are strict:
// what they accept is what the documentation says and no more, and each says in a phrase what it
// disliked, since that phrase ends up before a user's eyes.
#include "base/text.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <limits>

namespace benchfs {
namespace {

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};
constexpr std::array<Unit, 5> kSizeUnits{
    {{"B", 1}, {"KiB", kKiB}, {"MiB", kMiB}, {"GiB", kGiB}, {"TiB", kTiB}}};
constexpr std::array<Unit, 6> kTimeUnits{{{"ns", 1},
                                          {"us", 1000},
                                          {"ms", 1000'000},
                                          {"s", 1000'000'000},
                                          {"min", 60'000'000'000},
                                          {"h", 3600'000'000'000}}};

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/// Splits "12 unit" and multiplies; a missing unit means factor `bare`, or is an error when that is
/// 0.
std::expected<std::uint64_t, std::string> parse_scaled(std::string_view text,
                                                       std::span<const Unit> units,
                                                       std::uint64_t bare) {
  text = trim(text);
  std::size_t digits = 0;
  while (digits < text.size() && is_digit(text[digits])) ++digits;
  if (digits == 0) return std::unexpected("not a whole number");
  std::uint64_t value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + digits, value);
  if (parsed.ec != std::errc{}) return std::unexpected("too large a number");
  const std::string_view unit = trim(text.substr(digits));
  std::uint64_t factor = 0;
  if (unit.empty()) {
    factor = value == 0 ? 1 : bare;
    if (factor == 0) return std::unexpected("a unit is missing");
  } else if (unit.front() == '.' || unit.front() == ',') {
    return std::unexpected("not a whole number");
  }
  for (const Unit& u : units) {
    if (u.name == unit) factor = u.factor;
  }
  if (factor == 0) return std::unexpected(fmt::format("unknown unit \"{}\"", escape_line(unit)));
  if (value > std::numeric_limits<std::uint64_t>::max() / factor)
    return std::unexpected("too large a number");
  return value * factor;
}

std::string format_scaled(std::uint64_t value, std::span<const Unit> units) {
  std::size_t i = units.size() - 1;
  while (i > 0 && value < units[i].factor) --i;
  // Tenths, rounded; what rounds up to a whole larger unit is printed in that one.
  const auto tenths_of = [&](std::size_t u) {
    const std::uint64_t whole = value / units[u].factor;
    const auto rest = static_cast<double>(value % units[u].factor);
    return whole * 10 +
           static_cast<std::uint64_t>(rest * 10.0 / static_cast<double>(units[u].factor) + 0.5);
  };
  std::uint64_t tenths = tenths_of(i);
  if (i + 1 < units.size() && tenths * units[i].factor >= units[i + 1].factor * 10) {
    ++i;
    tenths = tenths_of(i);
  }
  if (tenths % 10 == 0) return fmt::format("{} {}", tenths / 10, units[i].name);
  return fmt::format("{}.{} {}", tenths / 10, tenths % 10, units[i].name);
}

std::string format_exact(std::uint64_t value, std::span<const Unit> units) {
  std::size_t i = units.size() - 1;
  while (i > 0 && value % units[i].factor != 0) --i;
  return fmt::format("{}{}", value / units[i].factor, units[i].name);
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

constexpr std::string_view kBase64 =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

constexpr std::array<std::int8_t, 256> make_base64_values() {
  std::array<std::int8_t, 256> values{};
  values.fill(-1);
  for (std::size_t i = 0; i < kBase64.size(); ++i)
    values[static_cast<unsigned char>(kBase64[i])] = static_cast<std::int8_t>(i);
  return values;
}
constexpr auto kBase64Values = make_base64_values();

}  // namespace

std::expected<std::uint64_t, std::string> parse_size(std::string_view text) {
  return parse_scaled(text, kSizeUnits, 1);
}

std::expected<std::uint64_t, std::string> parse_duration_ns(std::string_view text) {
  return parse_scaled(text, kTimeUnits, 0);
}

std::expected<std::uint64_t, std::string> parse_integer(std::string_view text) {
  return parse_scaled(text, {}, 1);
}

std::string format_bytes(std::uint64_t bytes) {
  return format_scaled(bytes, kSizeUnits);
}
std::string format_duration(std::uint64_t ns) {
  return format_scaled(ns, kTimeUnits);
}
std::string exact_size(std::uint64_t bytes) {
  return bytes == 0 ? "0B" : format_exact(bytes, kSizeUnits);
}
std::string exact_duration(std::uint64_t ns) {
  return ns == 0 ? "0s" : format_exact(ns, kTimeUnits);
}

std::optional<HostPort> parse_host_port(std::string_view text,
                                        std::optional<std::uint16_t> default_port) {
  HostPort out;
  std::string_view port;
  bool has_port = false;
  if (text.starts_with('[')) {
    const std::size_t close = text.find(']');
    if (close == std::string_view::npos) return std::nullopt;
    out.host = text.substr(1, close - 1);
    const std::string_view rest = text.substr(close + 1);
    if (!rest.empty() && rest.front() != ':') return std::nullopt;
    has_port = !rest.empty();
    if (has_port) port = rest.substr(1);
  } else {
    const std::size_t colon = text.find(':');
    out.host = text.substr(0, colon);
    has_port = colon != std::string_view::npos;
    if (has_port) port = text.substr(colon + 1);
  }
  if (out.host.empty()) return std::nullopt;
  for (const char c : out.host) {
    const auto u = static_cast<unsigned char>(c);
    if (u <= ' ' || u >= 0x7f || c == '/' || c == ',' || c == '[' || c == ']') return std::nullopt;
  }
  if (!has_port) {
    if (!default_port) return std::nullopt;
    out.port = *default_port;
    return out;
  }
  const auto end = port.data() + port.size();
  const auto parsed = std::from_chars(port.data(), end, out.port);
  if (port.empty() || parsed.ec != std::errc{} || parsed.ptr != end) return std::nullopt;
  return out;
}

std::string format_host_port(const HostPort& address) {
  if (address.host.find(':') != std::string::npos)
    return fmt::format("[{}]:{}", address.host, address.port);
  return fmt::format("{}:{}", address.host, address.port);
}

std::string_view trim(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n";
  const std::size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

std::vector<std::string> split_list(std::string_view text) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const std::size_t comma = text.find(',');
    const std::string_view part = trim(text.substr(0, comma));
    if (!part.empty()) parts.emplace_back(part);
    if (comma == std::string_view::npos) break;
    text.remove_prefix(comma + 1);
  }
  return parts;
}

std::string to_hex(std::span<const std::byte> bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const std::byte b : bytes) {
    out += kDigits[std::to_integer<unsigned>(b) >> 4];
    out += kDigits[std::to_integer<unsigned>(b) & 15];
  }
  return out;
}

std::string to_hex(std::uint64_t value) {
  return fmt::format("{:016x}", value);
}

std::optional<std::vector<std::byte>> from_hex(std::string_view text) {
  if (text.size() % 2 != 0) return std::nullopt;
  std::vector<std::byte> out(text.size() / 2);
  for (std::size_t i = 0; i < out.size(); ++i) {
    const int high = hex_digit(text[2 * i]);
    const int low = hex_digit(text[2 * i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    out[i] = static_cast<std::byte>(high * 16 + low);
  }
  return out;
}

std::optional<std::uint64_t> u64_from_hex(std::string_view text) {
  if (text.empty() || text.size() > 16) return std::nullopt;
  std::uint64_t value = 0;
  for (const char c : text) {
    const int digit = hex_digit(c);
    if (digit < 0) return std::nullopt;
    value = value * 16 + static_cast<unsigned>(digit);
  }
  return value;
}

std::string to_base64(std::span<const std::byte> bytes) {
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t n = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 3; ++k)
      group = (group << 8) | (k < n ? std::to_integer<std::uint32_t>(bytes[i + k]) : 0);
    for (std::size_t k = 0; k < 4; ++k) out += k <= n ? kBase64[(group >> (18 - 6 * k)) & 63] : '=';
  }
  return out;
}

std::optional<std::vector<std::byte>> from_base64(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  std::vector<std::byte> out;
  out.reserve(text.size() / 4 * 3);
  for (std::size_t i = 0; i < text.size(); i += 4) {
    const bool last = i + 4 == text.size();
    std::size_t pad = 0;
    if (last && text[i + 3] == '=') pad = text[i + 2] == '=' ? 2 : 1;
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 4; ++k) {
      int value = 0;
      if (k < 4 - pad) value = kBase64Values[static_cast<unsigned char>(text[i + k])];
      if (value < 0) return std::nullopt;
      group = (group << 6) | static_cast<std::uint32_t>(value);
    }
    if (pad > 0 && (group & ((1u << (8 * pad)) - 1)) != 0) return std::nullopt;
    for (std::size_t k = 0; k < 3 - pad; ++k)
      out.push_back(static_cast<std::byte>(group >> (16 - 8 * k)));
  }
  return out;
}

std::string escape_line(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    const auto u = static_cast<unsigned char>(c);
    if (c == '\\') {
      out += "\\\\";
    } else if (c == '\n') {
      out += "\\n";
    } else if (u < 0x20 || u == 0x7f) {
      out += fmt::format("\\x{:02x}", u);
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace benchfs
