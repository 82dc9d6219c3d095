// Conversations in this browser's IndexedDB. Where there is none (a private window of some browsers) they live as long as the page.
import { checkConversation } from './transfer';
import type { Conversation } from './types';

const storeName = 'conversations';
let base: IDBDatabase | null = null;

export function openBase(): Promise<boolean> {
	return new Promise((resolve) => {
		try {
			const request = indexedDB.open('hokku', 1);
			request.onupgradeneeded = () => request.result.createObjectStore(storeName, { keyPath: 'id' });
			request.onsuccess = () => {
				base = request.result;
				base.onversionchange = () => base?.close();
				resolve(true);
			};
			request.onerror = request.onblocked = () => resolve(false);
		} catch {
			resolve(false);
		}
	});
}

function within<T>(mode: IDBTransactionMode, act: (store: IDBObjectStore) => IDBRequest<T>): Promise<T | undefined> {
	return new Promise((resolve, reject) => {
		if (!base) return resolve(undefined);
		const request = act(base.transaction(storeName, mode).objectStore(storeName));
		request.onsuccess = () => resolve(request.result);
		request.onerror = () => reject(request.error);
	});
}

// What is there is checked as what is imported is: another version of the page may have written it.
export async function loadAll(): Promise<Conversation[]> {
	const all = (await within('readonly', (store) => store.getAll())) ?? [];
	return all.flatMap((one: unknown) => checkConversation(one) ?? []);
}

export async function loadOne(id: string): Promise<Conversation | undefined> {
	return checkConversation(await within('readonly', (store) => store.get(id)));
}

export const save = (c: Conversation) => within('readwrite', (store) => store.put(c));
export const remove = (id: string) => within('readwrite', (store) => store.delete(id));
