#include "compute/plugin.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>

#define PLUGIN_FILE "libhokku-cuda.so"

enum { MAX_DEVICES = 64, MAX_PATH = 4096 };

static bool is_file(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

/* Notes a folder that was looked in, for the message. */
static bool look_in(struct strbuf *looked, struct strbuf *path, struct str folder, const char *below)
{
	strbuf_clear(path);
	strbuf_add(path, folder.ptr, folder.len);
	strbuf_add_c(path, below);
	strbuf_addf(looked, "%s%s", looked->len ? ", " : "", path->ptr);
	strbuf_add_c(path, "/" PLUGIN_FILE);
	return !path->failed && is_file(path->ptr);
}

/* Each entry of HOKKU_PLUGIN_PATH: a folder, or the plugin itself. */
static bool find_by_variable(struct strbuf *looked, struct strbuf *path)
{
	const char *entry = getenv("HOKKU_PLUGIN_PATH");
	while (entry && *entry) {
		size_t n = strcspn(entry, ":");
		strbuf_clear(path);
		strbuf_add(path, entry, n);
		if (n && is_file(path->ptr))
			return true;
		if (n && look_in(looked, path, (struct str){entry, n}, ""))
			return true;
		entry += n + (entry[n] == ':');
	}
	return false;
}

static bool find(struct strbuf *looked, struct strbuf *path)
{
	Dl_info self;
	char real[MAX_PATH];
	if (find_by_variable(looked, path))
		return true;
	/* The object this code is in: the program, or libhokku.so. */
	/* NOLINTNEXTLINE(performance-no-int-to-ptr): C has no other cast from a function to data */
	if (!dladdr((void *)(uintptr_t)&plugin_get, &self) || !self.dli_fname)
		return false;
	const char *name = strchr(self.dli_fname, '/') ? self.dli_fname : "/proc/self/exe";
	if (!realpath(name, real))
		return false;
	char *slash = strrchr(real, '/');
	struct str folder = {real, slash ? (size_t)(slash - real) : 0};
	return look_in(looked, path, folder, "") || look_in(looked, path, folder, "/../lib");
}

static enum hokku_code load(const char *path, const struct compute_plugin **out, struct hokku_error *err)
{
	void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!handle)
		return err_set(err, HOKKU_DEVICE_ERROR, "the device plugin does not load: %s", dlerror());
	compute_plugin_fn *entry = NULL;
	/* POSIX has dlsym give functions as void pointers; C wants the bits copied. */
	void *symbol = dlsym(handle, COMPUTE_PLUGIN_SYMBOL);
	memcpy(&entry, &symbol, sizeof entry);
	if (!entry) {
		dlclose(handle);
		return err_set(err, HOKKU_DEVICE_ERROR, "%s is no hokku plugin: it lacks %s", path,
			       COMPUTE_PLUGIN_SYMBOL);
	}
	const struct compute_plugin *plugin = entry();
	if (plugin->abi != COMPUTE_PLUGIN_ABI || strcmp(plugin->version, hokku_version()) != 0) {
		uint32_t abi = plugin->abi;
		err_set(err, HOKKU_DEVICE_ERROR,
			"%s belongs to another hokku: its interface is number %u%s%s, this is hokku %s with "
			"number "
			"%u; install both from one build",
			path, abi, abi == COMPUTE_PLUGIN_ABI ? ", its version " : "",
			abi == COMPUTE_PLUGIN_ABI ? plugin->version : "", hokku_version(),
			COMPUTE_PLUGIN_ABI);
		dlclose(handle);
		return HOKKU_DEVICE_ERROR;
	}
	*out = plugin;
	return HOKKU_OK;
}

/* What the first call found, for all later ones. */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static const struct compute_plugin *found;
static struct hokku_error why_not;

static void search(void)
{
	struct strbuf looked = {0}, path = {0};
	if (find(&looked, &path))
		load(path.ptr, &found, &why_not);
	else
		err_set(&why_not, HOKKU_NOT_FOUND,
			"there is no GPU plugin: " PLUGIN_FILE
			" is not in %s (HOKKU_PLUGIN_PATH adds folders)",
			looked.len ? looked.ptr : "any known folder");
	strbuf_free(&looked);
	strbuf_free(&path);
}

enum hokku_code plugin_get(const struct compute_plugin **out, struct hokku_error *err)
{
	pthread_once(&once, search);
	*out = found;
	return found ? HOKKU_OK : err_set(err, why_not.code, "%s", why_not.message);
}

/* "cuda" is device 0, "cuda:3" device 3. */
static bool parse_index(const char *device, const char *name, uint32_t *index)
{
	size_t n = strlen(name);
	*index = 0;
	if (strncmp(device, name, n) != 0)
		return false;
	if (device[n] == '\0')
		return true;
	const char *digits = device + n + 1;
	size_t n_digits = strspn(digits, "0123456789");
	if (device[n] != ':' || n_digits < 1 || n_digits > 3 || digits[n_digits])
		return false;
	*index = (uint32_t)strtoul(digits, NULL, 10);
	return true;
}

static enum hokku_code refuse_index(const char *device, const struct compute_device_info *all, int n,
				    struct hokku_error *err)
{
	struct strbuf list = {0};
	for (int i = 0; i < n; i++)
		strbuf_addf(&list, "%scuda:%u (%s)", i ? ", " : "", all[i].index, all[i].name);
	enum hokku_code rc = err_set(err, HOKKU_INVALID_REQUEST, "there is no device %s; this machine has %s",
				     device, n ? list.ptr : "no CUDA device");
	strbuf_free(&list);
	return rc;
}

static enum hokku_code refuse_old(const struct compute_device_info *d, struct hokku_error *err)
{
	return err_set(err, HOKKU_DEVICE_ERROR,
		       "cuda:%u (%s) has compute capability %u.%u; hokku needs %d.%d or later", d->index,
		       d->name, d->cc_major, d->cc_minor, COMPUTE_MIN_CC_MAJOR, COMPUTE_MIN_CC_MINOR);
}

enum hokku_code plugin_first_usable(const struct compute_backend **out, uint32_t *index,
				    struct hokku_error *err)
{
	const struct compute_plugin *plugin;
	struct compute_device_info all[MAX_DEVICES];
	struct hokku_error why;
	enum hokku_code rc = plugin_get(&plugin, err);
	if (rc)
		return rc;
	int n = plugin->list_devices(all, MAX_DEVICES, &why);
	if (n < 0)
		return err_set(err, why.code, "%s", why.message);
	for (int i = 0; i < n && i < MAX_DEVICES; i++)
		if (all[i].usable) {
			*out = plugin->backend;
			*index = all[i].index;
			return HOKKU_OK;
		}
	return n ? refuse_old(&all[0], err) : err_set(err, HOKKU_NOT_FOUND, "the NVIDIA driver shows no GPU");
}

enum hokku_code plugin_backend(const char *device, const struct compute_backend **out,
			       struct hokku_error *err)
{
	const struct compute_plugin *plugin;
	uint32_t index;
	if (!parse_index(device, "cuda", &index))
		return err_set(err, HOKKU_INVALID_REQUEST,
			       "the device is \"%s\"; a GPU is \"cuda\" or \"cuda:N\"", device);
	enum hokku_code rc = plugin_get(&plugin, err);
	if (rc)
		return err_prefix(err, rc, "--device %s", device);
	struct compute_device_info all[MAX_DEVICES];
	int n = plugin->list_devices(all, MAX_DEVICES, err);
	if (n < 0)
		return err_prefix(err, HOKKU_DEVICE_ERROR, "--device %s", device);
	n = n < MAX_DEVICES ? n : MAX_DEVICES;
	for (int i = 0; i < n; i++) {
		if (all[i].index != index)
			continue;
		if (!all[i].usable)
			return refuse_old(&all[i], err);
		*out = plugin->backend;
		return HOKKU_OK;
	}
	return refuse_index(device, all, n, err);
}
