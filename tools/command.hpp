// What the commands of `benchfs` share: exit codes, messages, and the entry of each command.
#pragma once
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace benchfs::tools {

inline constexpr int kOk = 0;
inline constexpr int kFailure = 1;
inline constexpr int kUsage = 2;

/// "benchfs: <what>: <cause>" on standard error.
void print_error(const std::string& what, const std::string& cause);
/// "benchfs: <text>" on standard error.
void print_note(const std::string& text);

/// A command that was parsed: called with the arguments that stood after "--".
using Run = std::function<int(const std::vector<std::string>& rest)>;

/// One command of the program, with its options already tied to variables that `run` owns.
struct Command {
  CLI::App* app;
  bool takes_rest;  ///< something may follow "--"
  Run run;
};

Command make_start(CLI::App& benchfs);
Command make_status(CLI::App& benchfs);
Command make_stop(CLI::App& benchfs);
Command make_run(CLI::App& benchfs);
Command make_env(CLI::App& benchfs);
Command make_ls(CLI::App& benchfs);
Command make_stat(CLI::App& benchfs);
Command make_mkdir(CLI::App& benchfs);
Command make_rmdir(CLI::App& benchfs);
Command make_rm(CLI::App& benchfs);
Command make_ln(CLI::App& benchfs);
Command make_mv(CLI::App& benchfs);
Command make_chown(CLI::App& benchfs);
Command make_touch(CLI::App& benchfs);
Command make_chmod(CLI::App& benchfs);
Command make_cat(CLI::App& benchfs);
Command make_cp(CLI::App& benchfs);
Command make_put(CLI::App& benchfs);
Command make_get(CLI::App& benchfs);
Command make_df(CLI::App& benchfs);
Command make_du(CLI::App& benchfs);
Command make_find(CLI::App& benchfs);
Command make_tree(CLI::App& benchfs);
Command make_truncate(CLI::App& benchfs);
Command make_setfattr(CLI::App& benchfs);
Command make_getfattr(CLI::App& benchfs);
Command make_fsck(CLI::App& benchfs);
Command make_quota(CLI::App& benchfs);

/// A word of the command line of `find` as its parser takes it.
std::string find_word(const std::string& word);

/// An option whose value is a duration such as "60s"; `ms` keeps its value as the default.
CLI::Option* add_duration(CLI::App& app, const std::string& name, std::int64_t& ms,
                          const std::string& help);

/// Says in the help of `app` what the values of its options are: DIR, FILE, N.
void name_values(CLI::App& app);

/// `text` as a JSON string, quotes included.
std::string json_string(std::string_view text);

}  // namespace benchfs::tools
