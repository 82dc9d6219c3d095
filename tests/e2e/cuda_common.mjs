// What the tests of the CUDA backend share: the plugin built on the emulator (tests/cudasim), and a run on it.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { hokku } from "./server_common.mjs";

export const plugin = `${process.env.HOKKU_BUILD_DIR}/libhokku-cuda-sim.so`;
export const skip = existsSync(plugin) ? false : `no ${plugin}`;

// Launches on the path that the emulated device gets: 72 when the model is opened (a step of several tokens and one of one) and
// one ahead of the host, 71 for a prompt, then one a greedy token and two a drawn one.
export const LAUNCH_IN_ANSWER = 145;

export function run(device, args, env = {}) {
	return spawnSync(hokku, ["run", "--device", device, "-p", "a frog", "-n", "8", ...args], {
		env: { ...process.env, HOKKU_PLUGIN_PATH: plugin, ...env },
		encoding: "utf8",
		timeout: 120_000,
	});
}
