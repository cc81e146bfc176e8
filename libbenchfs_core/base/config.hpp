// The configuration engine. A table of settings (server_config.hpp, client_config.hpp) makes the
// struct, the YAML file, the environment, the flags, the help text and the reference; this file is
// what the tables are made of and the one reader that walks them.
//
// Precedence: flag, then environment, then file, then default. Strict: an unknown or repeated key,
// a value of the wrong type, unit or range is an error that names the key, its source and what is
// accepted.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

#include "base/log.hpp"

namespace benchfs {

/// The enumerations that settings have; kNames is in order of the values.
template <class E>
struct EnumNames;
template <class E>
constexpr std::string_view to_name(E value) {
  return EnumNames<E>::kNames[static_cast<std::size_t>(value)];
}

template <>
struct EnumNames<LogLevel> {
  static constexpr std::array<std::string_view, 6> kNames{"trace", "debug", "info",
                                                          "warn",  "error", "off"};
};

namespace config {

enum class Kind { size, duration_ms, duration_us, integer, boolean, string, path, list, choice };

/// The value of a setting, in the unit of its member; a choice is the index into Rule::choices.
using Value = std::variant<std::uint64_t, bool, std::string, std::vector<std::string>>;

/// What is accepted. `min` and `max` are in the unit of the member.
struct Rule {
  std::uint64_t min = 0;
  std::uint64_t max = std::numeric_limits<std::uint64_t>::max();
  bool power_of_two = false;
  /// Says what 0 stands for when 0 is accepted although it is below `min`; empty: it is not.
  std::string_view zero = {};
  bool required = false;
  /// Of a string or each entry of a list, beyond its type: `valid`, and the words for what it
  /// accepts.
  bool (*valid)(std::string_view) = nullptr;
  std::string_view accepted = {};
  /// Filled from EnumNames.
  std::span<const std::string_view> choices = {};
};

/// One setting: a row of a table.
struct Option {
  std::string_view key;  ///< as in the file; BENCHFS_<KEY> and --key-with-dashes follow from it
  Kind kind;
  Rule rule;
  std::string_view help;
  void (*store)(void* config, const Value& value);
  Value (*load)(const void* config);
};

/// The types that a table may name, each with the type of its struct member.
struct Size {
  using Type = std::uint64_t;
  static constexpr Kind kKind = Kind::size;
};
struct DurationMs {
  using Type = std::uint64_t;
  static constexpr Kind kKind = Kind::duration_ms;
};
struct DurationUs {
  using Type = std::uint64_t;
  static constexpr Kind kKind = Kind::duration_us;
};
struct Integer {
  using Type = std::uint64_t;
  static constexpr Kind kKind = Kind::integer;
};
struct Boolean {
  using Type = bool;
  static constexpr Kind kKind = Kind::boolean;
};
struct String {
  using Type = std::string;
  static constexpr Kind kKind = Kind::string;
};
struct Path {
  using Type = std::string;
  static constexpr Kind kKind = Kind::path;
};
struct List {
  using Type = std::vector<std::string>;
  static constexpr Kind kKind = Kind::list;
};
template <class E>
struct Choice {
  using Type = E;
  static constexpr Kind kKind = Kind::choice;
};

template <class Tag, class Config, typename Tag::Type Config::*Member>
constexpr Option make_option(std::string_view key, std::string_view help, Rule rule) {
  using Type = typename Tag::Type;
  Option option{.key = key,
                .kind = Tag::kKind,
                .rule = rule,
                .help = help,
                .store = nullptr,
                .load = nullptr};
  if constexpr (std::is_enum_v<Type>) {
    option.rule.choices = EnumNames<Type>::kNames;
    option.store = [](void* config, const Value& value) {
      static_cast<Config*>(config)->*Member = static_cast<Type>(std::get<std::uint64_t>(value));
    };
    option.load = [](const void* config) {
      return Value{static_cast<std::uint64_t>(static_cast<const Config*>(config)->*Member)};
    };
  } else {
    option.store = [](void* config, const Value& value) {
      static_cast<Config*>(config)->*Member = std::get<Type>(value);
    };
    option.load = [](const void* config) {
      return Value{static_cast<const Config*>(config)->*Member};
    };
  }
  return option;
}

/// Columns of a table: X(type, key, member, default, help, rule...). See server_config.hpp.
#define BENCHFS_CONFIG_MEMBER(type, key, member, value, help, ...) type::Type member = value;
#define BENCHFS_CONFIG_OPTION(type, key, member, value, help, ...) \
  make_option<type, Self, &Self::member>(#key, help, Rule{__VA_ARGS__}),

using Options = std::span<const Option>;
/// "NAME=VALUE" strings.
using Environment = std::span<const char* const>;

/// The environment of this process.
Environment process_environment();

/// What to read. Flags of `args` (without the program's name) are `--key VALUE` or `--key=VALUE`,
/// and
/// `--config FILE`, `--print-config`, `--help`, `--version`.
struct Sources {
  std::span<const char* const> args = {};
  Environment environment = {};
};

enum class Action { run, help, version, print_config };

struct Outcome {
  Action action = Action::run;
  std::vector<std::string> warnings;  ///< e.g. BENCHFS_* variables that no table knows
};

/// Stores into `config` (a struct of `options`) what the sources say. `others` are the settings of
/// the other table: their keys and variables are accepted and left alone, so that one file and one
/// environment serve servers and clients. Requirements are not checked when the action is not
/// `run`.
std::expected<Outcome, std::string> read(Options options, Options others, const Sources& sources,
                                         void* config);

/// Parses the text of a file alone; `name` stands in errors. For read(), tests and fuzzing.
std::expected<void, std::string> read_text(Options options, Options others, const std::string& text,
                                           std::string_view name, void* config);

/// The effective values as a YAML file that read_text() accepts.
std::string dump(Options options, const void* config);
/// One paragraph per flag, with accepted values and default (those of `defaults`).
std::string help(Options options, const void* defaults);
/// The rows of a Markdown table for docs/configuration.md.
std::string reference(Options options, const void* defaults);

/// "a size from 64KiB to 128MiB, a power of two".
std::string accepted_text(const Option& option);
/// As in a file: "4MiB", "30s", "info", "a, b".
std::string value_text(const Option& option, const Value& value);
std::string flag_name(const Option& option);
std::string variable_name(const Option& option);

/// Checks for use in tables.
bool valid_host_port(std::string_view text);
bool valid_listen(std::string_view text);
bool valid_server_id(std::string_view text);

}  // namespace config
}  // namespace benchfs
