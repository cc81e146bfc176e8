// Settings as text: names, accepted values, the effective configuration, the help of --help and the
// reference of docs/configuration.md, all from the same rows.
#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>

#include "base/config.hpp"
#include "base/text.hpp"

namespace benchfs::config {
namespace {

constexpr std::size_t kHelpColumns = 90;

bool is_number(Kind kind) {
  return kind == Kind::size || kind == Kind::duration_ms || kind == Kind::duration_us ||
         kind == Kind::integer;
}

std::string number_text(Kind kind, std::uint64_t value) {
  switch (kind) {
    case Kind::size:
      return exact_size(value);
    case Kind::duration_ms:
      return exact_duration(value * 1'000'000);
    case Kind::duration_us:
      return exact_duration(value * 1'000);
    default:
      return fmt::format("{}", value);
  }
}

std::string_view type_text(Kind kind) {
  switch (kind) {
    case Kind::size:
      return "size";
    case Kind::duration_ms:
    case Kind::duration_us:
      return "time";
    case Kind::integer:
      return "number";
    case Kind::boolean:
      return "boolean";
    case Kind::string:
      return "text";
    case Kind::path:
      return "path";
    case Kind::list:
      return "list";
    case Kind::choice:
      return "choice";
  }
  return "";
}

std::string upper(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return out;
}

/// The default as people read it: what 0 stands for instead of 0.
std::string default_text(const Option& option, const void* defaults) {
  const Value value = option.load(defaults);
  if (is_number(option.kind) && std::get<std::uint64_t>(value) == 0 && !option.rule.zero.empty())
    return fmt::format("0 ({})", option.rule.zero);
  return value_text(option, value);
}

std::string replaced(std::string_view text, char from, std::string_view to) {
  std::string out;
  for (const char c : text) {
    if (c == from) {
      out += to;
    } else {
      out += c;
    }
  }
  return out;
}

void append_wrapped(std::string& out, std::string_view text, std::string_view indent) {
  std::size_t column = 0;
  while (!text.empty()) {
    const std::size_t blank = text.find(' ');
    const std::string_view word = text.substr(0, blank);
    if (column == 0 || column + 1 + word.size() > kHelpColumns) {
      out += column == 0 ? "" : "\n";
      out += indent;
      column = indent.size();
    } else {
      out += ' ';
      ++column;
    }
    out += word;
    column += word.size();
    if (blank == std::string_view::npos) break;
    text.remove_prefix(blank + 1);
  }
  out += '\n';
}

/// What is accepted, without the units.
std::string range_text(const Option& option) {
  const Rule& rule = option.rule;
  std::string out;
  switch (option.kind) {
    case Kind::size:
    case Kind::duration_ms:
    case Kind::duration_us:
    case Kind::integer:
      out = fmt::format("{} from {} to {}",
                        option.kind == Kind::size      ? "a size"
                        : option.kind == Kind::integer ? "a number"
                                                       : "a time",
                        number_text(option.kind, rule.min), number_text(option.kind, rule.max));
      if (rule.power_of_two) out += ", a power of two";
      if (!rule.zero.empty()) out += fmt::format(", or 0 for {}", rule.zero);
      return out;
    case Kind::boolean:
      return "true or false";
    case Kind::string:
      return rule.accepted.empty() ? "a text" : std::string(rule.accepted);
    case Kind::path:
      return "a path";
    case Kind::list:
      return fmt::format("a list of {}", rule.accepted.empty() ? "texts" : rule.accepted);
    case Kind::choice:
      return fmt::format("one of {}", fmt::join(rule.choices, ", "));
  }
  return out;
}

}  // namespace

std::string flag_name(const Option& option) {
  return "--" + replaced(option.key, '_', "-");
}
std::string variable_name(const Option& option) {
  return "BENCHFS_" + upper(option.key);
}

std::string accepted_text(const Option& option) {
  std::string out = range_text(option);
  if (option.kind == Kind::size) out += ", in bytes or with B, KiB, MiB, GiB or TiB";
  if (option.kind == Kind::duration_ms) out += ", with ms, s, min or h";
  if (option.kind == Kind::duration_us) out += ", with us, ms, s, min or h";
  return out;
}

std::string value_text(const Option& option, const Value& value) {
  switch (option.kind) {
    case Kind::size:
    case Kind::duration_ms:
    case Kind::duration_us:
    case Kind::integer:
      return number_text(option.kind, std::get<std::uint64_t>(value));
    case Kind::boolean:
      return std::get<bool>(value) ? "true" : "false";
    case Kind::string:
    case Kind::path:
      return std::get<std::string>(value);
    case Kind::list:
      return fmt::format("{}", fmt::join(std::get<std::vector<std::string>>(value), ", "));
    case Kind::choice:
      return std::string(option.rule.choices[std::get<std::uint64_t>(value)]);
  }
  return {};
}

std::string dump(Options options, const void* config) {
  YAML::Emitter out;
  out << YAML::BeginMap;
  for (const Option& option : options) {
    const Value value = option.load(config);
    out << YAML::Key << std::string(option.key) << YAML::Value;
    if (option.kind == Kind::list) {
      out << YAML::Flow << YAML::BeginSeq;
      for (const std::string& item : std::get<std::vector<std::string>>(value))
        out << YAML::DoubleQuoted << item;
      out << YAML::EndSeq;
    } else if (option.kind == Kind::string || option.kind == Kind::path) {
      out << YAML::DoubleQuoted << std::get<std::string>(value);
    } else {
      out << value_text(option, value);
    }
  }
  out << YAML::EndMap;
  return std::string(out.c_str()) + "\n";
}

std::string help(Options options, const void* defaults) {
  std::string out;
  for (const Option& option : options) {
    const std::string fallback = default_text(option, defaults);
    out += fmt::format("  {} {}\n", flag_name(option),
                       option.kind == Kind::choice
                           ? fmt::format("{}", fmt::join(option.rule.choices, "|"))
                           : upper(type_text(option.kind)));
    std::string text(option.help);
    if (option.kind != Kind::choice && option.kind != Kind::path)
      text += fmt::format(" Accepted: {}.", range_text(option));
    if (option.rule.required) text += " Required.";
    if (!fallback.empty()) text += fmt::format(" Default: {}.", fallback);
    append_wrapped(out, text, "        ");
  }
  return out;
}

std::string reference(Options options, const void* defaults) {
  std::string out = "| Key | Accepted | Default | Meaning |\n|---|---|---|---|\n";
  for (const Option& option : options) {
    const std::string fallback = default_text(option, defaults);
    const std::string row = fmt::format(
        "`{}`\n{}\n{}\n{}", option.key, range_text(option),
        option.rule.required ? "required" : (fallback.empty() ? "" : fmt::format("`{}`", fallback)),
        option.help);
    out += fmt::format("| {} |\n", replaced(replaced(row, '|', "\\|"), '\n', " | "));
  }
  return out;
}

bool valid_host_port(std::string_view text) {
  const auto address = parse_host_port(text);
  return address && address->port != 0;
}

bool valid_listen(std::string_view text) {
  return parse_host_port(text, 0).has_value();
}

bool valid_server_id(std::string_view text) {
  const auto allowed = [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  };
  // A registry keeps one file per server, and there names with a leading dot are temporary ones.
  return !text.empty() && text.size() <= 63 && text.front() != '.' &&
         std::all_of(text.begin(), text.end(), allowed);
}

}  // namespace benchfs::config
